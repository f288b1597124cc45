"""What the fleet's files may say, and how every problem is said at once."""

from __future__ import annotations

import pytest

from ritilib.errors import FleetError
from ritilib.fleet.load import load_fleet
from tests.unit.fleets import ACME, FLEET, MONTEVIDEO, SALTO, make_files


def problems_of(files: dict[str, bytes]) -> list[str]:
    with pytest.raises(FleetError) as caught:
        load_fleet(files)
    return [str(problem) for problem in caught.value.problems]


def test_a_good_fleet_is_read_with_addresses_for_everybody() -> None:
    fleet = load_fleet(make_files()).fleet
    (company,) = fleet.companies
    assert [box.key for box in company.boxes] == ["acme/montevideo", "acme/salto"]
    every = [*fleet.lighthouse_addresses]
    for box in company.boxes:
        every += [box.box_address, *box.pbx_addresses]
    assert len(set(every)) == 7
    assert all(address in fleet.said.overlay for address in every)


def test_claims_are_kept_so_that_a_new_box_moves_nobody() -> None:
    first = load_fleet(make_files())
    files = make_files() | {path: text.encode() for path, text in first.claims.items()}
    files["fleet/boxes/acme/artigas.yaml"] = SALTO.replace("201", "401").replace("4733", "4772").encode()
    second = load_fleet(files)
    old = {box.key: box for box in first.fleet.companies[0].boxes}
    new = {box.key: box for box in second.fleet.companies[0].boxes}
    assert {key: new[key].pbx_addresses for key in old} == {key: old[key].pbx_addresses for key in old}
    assert first.claims.items() <= second.claims.items()
    assert second.claims["fleet/claims/number/+59847721401"] == "acme/artigas 401\n"


def test_an_address_of_a_box_that_is_gone_is_not_given_to_another() -> None:
    first = load_fleet(make_files())
    files = make_files() | {path: text.encode() for path, text in first.claims.items()}
    gone = files.pop("fleet/boxes/acme/salto.yaml")
    files["fleet/boxes/acme/artigas.yaml"] = gone.replace(b"201", b"401")
    taken = {str(first.fleet.companies[0].boxes[1].box_address)}
    artigas = load_fleet(files).fleet.companies[0].boxes[0]
    assert str(artigas.box_address) not in taken


def test_every_problem_of_every_file_comes_at_once_with_its_line() -> None:
    files = make_files(
        acme=ACME + "colour: blue\n",
        montevideo=MONTEVIDEO.replace("name: Montevideo", "nmae: Montevideo"),
        salto="name: Salto\nextensions: [\n",
    )
    files["fleet/boxes/acmee/rivera.yaml"] = SALTO.encode()
    found = problems_of(files)
    joined = "\n".join(found)
    assert (
        "fleet/companies/acme.yaml:5: unknown key `colour`; "
        "take it out, or spell it as one of: calls, codecs, link, name, routes" in joined
    )
    assert "fleet/boxes/acme/montevideo.yaml:1: unknown key `nmae`" in joined
    assert "fleet/boxes/acme/montevideo.yaml:1: `name` is missing; add it" in joined
    assert "fleet/boxes/acme/salto.yaml:3: not YAML" in joined
    assert (
        "fleet/boxes/acmee/rivera.yaml:1: a box of an unknown company `acmee`; "
        "add fleet/companies/acmee.yaml, or move the file to its company's folder"
    ) in joined


def test_a_number_said_twice_names_both_places() -> None:
    found = problems_of(make_files(salto=SALTO.replace('"201"', '"101"')))
    assert found == [
        "fleet/boxes/acme/salto.yaml:3: extension 101 is twice in company acme: also at "
        "fleet/boxes/acme/montevideo.yaml:3; give one of them another"
    ]


def test_a_public_number_is_one_in_the_whole_fleet() -> None:
    files = make_files(salto=SALTO.replace("+59847331201", "+59826001101"))
    assert any("public number +59826001101 is twice in the fleet" in line for line in problems_of(files))


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "montevideo",
            '"101"',
            "101",
            "`extensions.0.number` (101): input should be a valid string; quote it",
        ),
        ("montevideo", '"101"', '"1"', "`extensions.0.number` ('1') has not the form asked for"),
        ("montevideo", '"101"', '"911"', "extension 911 is an emergency number in UY"),
        ("acme", '"101"', '"999999"', "route 100 leads to 999999, which is no extension of acme"),
        ("montevideo", "+59826001101", "+5982", "has not the form asked for"),
        ("fleet", "country: UY", "country: XX", "`country` (XX) is no country with telephone numbers"),
        ("fleet", "name: demo", "name: De_mo", "`name` ('De_mo') has not the form asked for"),
    ],
)
def test_each_rule_says_where_and_what(file: str, old: str, new: str, expected: str) -> None:
    text = {"fleet": FLEET, "acme": ACME, "montevideo": MONTEVIDEO}[file].replace(old, new)
    found = problems_of(make_files(**{file: text}))
    assert any(expected in line for line in found), found


def test_a_company_may_not_be_called_as_the_overlays_firewall_calls_everybody() -> None:
    files = make_files()
    files["fleet/companies/any.yaml"] = b"name: Any\n"
    assert any("`any` is a name that RITI keeps for itself" in line for line in problems_of(files))


def test_two_lighthouses_share_neither_name_nor_place() -> None:
    twice = FLEET + "  - {name: one, address: 10.93.0.1, port: 4242}\n"
    found = "\n".join(problems_of(make_files(fleet=twice)))
    assert "fleet/fleet.yaml:8: lighthouse one is twice in the fleet: also at fleet/fleet.yaml:7" in found
    assert "lighthouse at 10.93.0.1:4242 is twice in the fleet" in found


def test_a_number_of_no_country_is_a_problem_and_no_traceback() -> None:
    text = MONTEVIDEO.replace("+59826001101", "+9991234567")
    assert any(
        "+9991234567 is no possible telephone number" in line
        for line in problems_of(make_files(montevideo=text))
    )


def test_the_adapter_has_one_port() -> None:
    text = MONTEVIDEO + '  - number: "102"\n    name: Caja\n'
    assert any(
        "a second extension on the adapter" in line for line in problems_of(make_files(montevideo=text))
    )


def test_an_overlay_that_is_full_says_so() -> None:
    found = problems_of(make_files(fleet=FLEET.replace("100.80.0.0/16", "100.80.0.0/30")))
    assert any("has no address left" in line for line in found)


def test_a_claim_in_conflict_is_no_owner() -> None:
    """Rendered over, it would hand the address of a PBX that runs to another one."""
    both = "<<<<<<< HEAD\nacme/salto box\n=======\nzorro/tala box\n>>>>>>> main\n"
    with pytest.raises(FleetError) as caught:
        load_fleet(make_files() | {"fleet/claims/overlay/100.80.0.9": both.encode()})
    (problem,) = caught.value.problems
    assert problem.file == "fleet/claims/overlay/100.80.0.9" and "more than one owner" in problem.what
    assert "git checkout origin/main -- fleet/claims" in problem.mend


def test_a_serial_is_claimed_by_its_box() -> None:
    salto = SALTO.replace("extensions:", "serial: 10000000a1b2c3d4\nextensions:")
    assert (
        load_fleet(make_files(salto=salto)).claims["fleet/claims/serial/10000000a1b2c3d4"] == "acme/salto\n"
    )
