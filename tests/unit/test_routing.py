"""Which strings a telephone may dial, and where they ring."""

from __future__ import annotations

from ritilib.fleet.load import load_fleet
from ritilib.routing.country import describe_country
from ritilib.routing.table import Entry, build_table, public_forms
from tests.unit.fleets import make_files

UY = describe_country("UY")


def test_short_numbers_public_forms_and_routes_all_lead_home() -> None:
    (company,) = load_fleet(make_files()).fleet.companies
    table = {entry.dialled: entry for entry in build_table(company, UY)}
    assert table["201"] == Entry("201", "salto", "201")
    assert table["100"] == Entry("100", "montevideo", "101")
    for dialled in ("59847331201", "0059847331201", "47331201"):
        assert table[dialled] == Entry(dialled, "salto", "201")


def test_a_short_number_stands_before_a_public_form_written_alike() -> None:
    files = make_files()
    files["fleet/boxes/acme/salto.yaml"] += b'  - {number: "473312", name: Patio, phone: sip}\n'
    (company,) = load_fleet(files).fleet.companies
    table = {entry.dialled: entry for entry in build_table(company, UY)}
    assert table["473312"].extension == "473312"
    assert [entry.dialled for entry in build_table(company, UY)] == sorted(table)


def test_the_national_form_is_for_people_of_that_country_only() -> None:
    assert public_forms("+59826001101", UY) == ("59826001101", "0059826001101", "26001101")
    assert public_forms("+59826001101", describe_country("AR")) == ("59826001101", "0059826001101")
    assert public_forms(None, UY) == ()
