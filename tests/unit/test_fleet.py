"""What the fleet's files may say, and how every problem is said at once."""

from __future__ import annotations

import pytest

from ritilib.errors import FleetError
from ritilib.fleet.capacity import derive_at_once
from ritilib.fleet.kinds import Codec
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
        "take it out, or spell it as one of: box_image, calls, codecs, groups, holidays, hours, language, link, "
        "maintenance, menus, name, place, resources, routes, secrets, start, sync, timezone" in joined
    )
    assert "fleet/boxes/acme/montevideo.yaml:1: unknown key `nmae`" in joined
    assert "fleet/boxes/acme/montevideo.yaml:1: `name` is missing; add it" in joined
    assert "fleet/boxes/acme/salto.yaml:2: not YAML" in joined
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
        (
            "acme",
            '"101"',
            '"999999"',
            "route 100 leads to 999999, which is no extension, group, route or menu of acme",
        ),
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


def test_places_are_known_and_carry_what_is_placed_there() -> None:
    places = FLEET + "places: [{name: mvd, boxes: 1}]\n"
    assert load_fleet(make_files(fleet=places, salto=SALTO + "place: mvd\n"))
    (problem,) = problems_of(make_files(fleet=places, acme=ACME + "place: mvd\n"))
    assert problem.startswith("fleet/fleet.yaml:8: 2 boxes are placed at mvd, which carries 1; ")
    (problem,) = problems_of(make_files(fleet=places, salto=SALTO + "place: bue\n"))
    assert problem.startswith("fleet/boxes/acme/salto.yaml:6: `place` bue is none of the fleet's places; ")


def test_the_nearest_to_the_box_holds() -> None:
    files = make_files(
        fleet=FLEET + "codecs: [alaw, ulaw]\ncalls: {outside: none, longest_min: 5}\nlink: {kbit_s: 256}\n",
        acme=ACME + "calls: {outside: national}\n",
        salto=SALTO + "codecs: [gsm, ulaw]\ncalls: {premium: true}\n",
    )
    montevideo, salto = (box.settings for box in load_fleet(files).fleet.companies[0].boxes)
    assert (montevideo.codecs, salto.codecs) == (("alaw", "ulaw"), ("gsm", "ulaw"))
    assert (montevideo.outside, montevideo.premium, montevideo.longest_min) == ("national", False, 5)
    assert (salto.outside, salto.premium, salto.longest_min, salto.kbit_s) == ("national", True, 5, 256)


def test_a_link_carries_what_is_said_or_else_what_fits() -> None:
    files = make_files(
        fleet=FLEET + "link: {kbit_s: 512}\n",
        acme=ACME + "codecs: [alaw, gsm]\n",
        salto=SALTO + "calls: {at_once: 9}\n",
        rivera='name: Rivera\ncodecs: [gsm, alaw]\nlink: {kbit_s: 64}\nextensions: [{number: "301", name: A}]\n',
    )
    montevideo, rivera, salto = (box.settings for box in load_fleet(files).fleet.companies[0].boxes)
    assert (montevideo.at_once, rivera.at_once, salto.at_once) == (5, 1, 9)
    assert load_fleet(make_files()).fleet.companies[0].boxes[0].settings.at_once is None


@pytest.mark.parametrize(
    ("kbit_s", "codec", "at_once"),
    [
        (64, "alaw", 1),
        (201, "alaw", 1),
        (202, "ulaw", 2),
        (99, "gsm", 1),
        (100, "gsm", 2),
        (10000, "g722", 99),
    ],
)
def test_how_many_calls_fit_into_a_link(kbit_s: int, codec: Codec, at_once: int) -> None:
    """100.8 kbit/s for 160 bytes of voice in 20 ms, 50 for gsm's 33."""
    assert derive_at_once(kbit_s, codec) == at_once


def test_the_nearest_maintenance_holds_and_none_is_said_by_an_empty_list() -> None:
    sundays = 'maintenance: [{days: sun, from: "02:00", to: "04:00"}]\n'
    files = make_files(
        fleet=FLEET + "timezone: America/Montevideo\n" + sundays, salto=SALTO + "maintenance: []\n"
    )
    montevideo, salto = (box.settings.maintenance for box in load_fleet(files).fleet.companies[0].boxes)
    assert [(one.days, one.from_, one.to) for one in montevideo] == [("sun", "02:00", "04:00")]
    assert salto == ()


def test_of_what_is_left_alone_the_nearest_holds_and_nobody_lifts_a_suspension() -> None:
    nights = 'sync: {windows: [{days: mon-fri, from: "20:00", to: "24:00"}], suspended: "we move house"}\n'
    files = make_files(
        fleet=FLEET + "timezone: America/Montevideo\n" + nights,
        acme=ACME + "sync: {self_heal: false, suspended: the mast is down}\n",
        salto=SALTO + "sync: {windows: [], self_heal: true}\n",
    )
    montevideo, salto = (box.settings.sync for box in load_fleet(files).fleet.companies[0].boxes)
    assert (montevideo.suspended, montevideo.self_heal) == ("the mast is down", False)
    assert [(one.days, one.from_, one.to) for one in montevideo.windows] == [("mon-fri", "20:00", "24:00")]
    assert (salto.suspended, salto.self_heal, salto.windows) == ("the mast is down", True, ())


def test_offices_need_a_codec_in_common() -> None:
    (problem,) = problems_of(make_files(salto=SALTO + "codecs: [gsm]\n"))
    assert problem == (
        "fleet/boxes/acme/salto.yaml:6: no codec in common with fleet/boxes/acme/montevideo.yaml (alaw); "
        "add one of these to `codecs`"
    )


def test_a_line_is_somebodys() -> None:
    (problem,) = problems_of(make_files(salto=SALTO + 'line: {number: "+59847331202"}\n'))
    assert problem.startswith(
        "fleet/boxes/acme/salto.yaml:6: the line's number +59847331202 is the `public` of no"
    )


def test_a_circle_of_leads_is_told_once() -> None:
    circle = (
        SALTO
        + '    forward: {busy: "202"}\n  - {number: "202", name: B, phone: sip, forward: {always: "201"}}\n'
    )
    (problem,) = problems_of(make_files(salto=circle))
    assert problem.startswith(
        "fleet/boxes/acme/salto.yaml:6: forward 201 leads back to itself: 201 → 202 → 201; "
    )
    groups = ACME + 'groups: [{number: "600", name: A, rings: ["101", "100"], then: "601"}, '
    groups += '{number: "601", name: B, rings: ["201"], then: "600"}]\n'
    found = problems_of(make_files(acme=groups))
    assert [one.partition("; ")[0] for one in found] == [
        "fleet/companies/acme.yaml:5: group 600 leads to 100, which is no extension of acme",
        "fleet/companies/acme.yaml:5: group 600 leads back to itself: 600 → 601 → 600",
    ]


HOURS = """\
timezone: America/Montevideo
hours:
  office: [{days: mon-fri, from: "09:00", to: "18:00"}]
routes:
  - {number: "100", to: "101", hours: office, closed: "201"}
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("timezone: America/Montevideo\n", "", ":2: hours of a company without a `timezone`"),
        (
            "America/Montevideo",
            "America/Salto",
            ":2: `timezone` ('America/Salto') is no time zone",
        ),
        ("America/Montevideo", "America/Buenos_Aires", "is called America/Argentina/Buenos_Aires today"),
        ('to: "18:00"', 'to: "08:00"', ":4: mon-fri ends at 08:00, and begins at 09:00"),
        (', closed: "201"', "", ":6: route 100 has `hours` alone"),
        ("hours: office, ", "", ":6: route 100 has `closed` alone"),
        ("hours: office,", "hours: night,", ":6: route 100 has the hours `night`, which Acme has not"),
        ('closed: "201"', 'closed: "100"', ":6: route 100 leads back to itself: 100 → 100"),
    ],
)
def test_hours_can_be_kept(old: str, new: str, expected: str) -> None:
    assert load_fleet(make_files(acme=f"name: Acme\n{HOURS}"))
    found = problems_of(make_files(acme=f"name: Acme\n{HOURS.replace(old, new)}"))
    assert any(f"fleet/companies/acme.yaml{expected}" in one or expected in one for one in found), found


def test_a_line_rings_whom_it_says_and_has_its_own_number() -> None:
    said = SALTO + 'line: {number: "+59847331299", rings: "100"}\n'
    loaded = load_fleet(make_files(salto=said))
    assert loaded.claims["fleet/claims/number/+59847331299"] == "acme/salto line\n"
    (problem,) = problems_of(
        make_files(salto=said.replace("99", "01").replace("+59847331201", "+59826001101", 1))
    )
    assert "is twice in the fleet" in problem
    (problem,) = problems_of(make_files(salto=said.replace('rings: "100"', 'rings: "555"')))
    assert "line +59847331299 leads to 555, which is no extension, group, route or menu of acme" in problem


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
