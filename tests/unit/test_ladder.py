"""The ladder of a call, rung by rung, and the proof that counts every call."""

from __future__ import annotations

from itertools import permutations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ritilib.fleet.load import load_fleet
from ritilib.fleet.settings import DEFAULTS
from ritilib.routing.country import describe_country
from ritilib.routing.directory import Directory, build_directory
from ritilib.routing.ladder import Failure, Outcome, find_route
from ritilib.routing.outside import choose_outside_number, may_dial_outside
from ritilib.routing.proof import list_failures, prove_company
from tests.unit.fleets import FLEET, MONTEVIDEO, make_files
from tests.unit.fleets import SALTO as SALTO_FILE

BOTH = {"montevideo": "+59826001101", "salto": "+59847331201"}


def make_directory(lines: dict[str, str] | None = None, extra: dict[str, str] | None = None) -> Directory:
    files = make_files(**(extra or {}))
    for slug, number in (lines or {}).items():
        files[f"fleet/boxes/acme/{slug}.yaml"] += f'line: {{number: "{number}"}}\n'.encode()
    fleet = load_fleet(files).fleet
    return build_directory(fleet, fleet.companies[0])


def ask(directory: Directory, dialled: str, *down: str, caller: str = "montevideo") -> tuple[str, Outcome]:
    """The rungs that were tried, joined, and what came of it."""
    failures = frozenset(Failure(*one.split(":")) for one in down)  # type: ignore[arg-type]
    route = find_route(directory, caller, dialled, failures)
    return "+".join(attempt.rung for attempt in route.attempts), route.outcome


SALTO = Outcome("rings", "salto", "201")


@pytest.mark.parametrize(
    ("down", "rungs"),
    [
        ([], "cloud"),
        (["pbx:montevideo"], "cloud+direct"),
        (["pbx:salto"], "cloud+direct"),
        (["mesh:salto:montevideo"], "cloud+direct"),
        (["cloud"], "cloud+direct"),
        (["link:montevideo"], "cloud+direct+line"),
        (["link:salto"], "cloud+direct+line"),
        (["line:salto"], "cloud"),
        (["vault"], "cloud"),
        (["consul"], "cloud"),
        (["nomad"], "cloud"),
    ],
)
def test_each_failure_costs_as_many_rungs_as_it_must(down: list[str], rungs: str) -> None:
    for dialled in ("201", "47331201", "0059847331201"):
        assert ask(make_directory(BOTH), dialled, *down) == (rungs, SALTO)


def test_the_path_of_each_rung() -> None:
    directory = make_directory(BOTH)
    home, away = "acme/montevideo", "acme/salto"

    def path(*down: Failure) -> tuple[str, ...]:
        return find_route(directory, "montevideo", "201", frozenset(down)).path

    assert path() == (f"box:{home}", f"pbx:{home}", f"pbx:{away}", f"box:{away}")
    assert path(Failure("cloud")) == (f"box:{home}", f"box:{away}")
    out = (f"box:{home}", f"line:{home}", "public", f"line:{away}", f"box:{away}")
    # what comes in by a line is the cloud's to decide, where that is in reach
    assert path(Failure("link", "montevideo")) == (*out, f"pbx:{away}", f"box:{away}")
    assert path(Failure("link", "salto")) == out


def test_without_a_line_the_ladder_ends_in_a_tone() -> None:
    assert ask(make_directory(), "201", "link:montevideo") == ("cloud+direct+line", Outcome("tone", cause=34))
    one = make_directory({"montevideo": BOTH["montevideo"]})
    assert ask(one, "201", "link:salto") == ("cloud+direct+line", Outcome("tone", cause=34))
    assert ask(make_directory(BOTH), "201", "box:salto")[1] == Outcome("tone", cause=34)
    assert ask(make_directory(BOTH), "201", "box:montevideo") == ("", Outcome("dark", "montevideo"))


def test_inside_an_office_no_cloud_is_needed() -> None:
    two = {
        "salto": 'name: Salto\nextensions: [{number: "201", name: A}, {number: "202", name: B, phone: sip}]\n'
    }
    directory = make_directory(extra=two)
    for down in ("link:salto", "pbx:salto", "cloud"):
        assert ask(directory, "202", down, caller="salto") == (
            "cloud+direct",
            Outcome("rings", "salto", "202"),
        )


def test_emergencies_leave_by_the_own_line_alone() -> None:
    directory = make_directory({"montevideo": BOTH["montevideo"]}, {"fleet": FLEET + 'emergency: ["104"]\n'})
    for number in ("911", "128", "104"):
        for down in ([], ["cloud"], ["link:montevideo"]):
            assert ask(directory, number, *down) == ("line", Outcome("emergency"))
        assert ask(directory, number, "line:montevideo")[1].kind == "tone"
        assert ask(directory, number, caller="salto")[1].kind == "tone"


@pytest.mark.parametrize(
    ("calls", "dialled", "outcome"),
    [
        ("", "29001234", Outcome("public")),
        ("", "0059829001234", Outcome("public")),
        ("", "00441234567890", Outcome("tone", cause=21)),
        ("", "9001234", Outcome("tone", cause=21)),  # premium in Uruguay
        ("", "005989001234", Outcome("tone", cause=21)),
        ("", "29*1234", Outcome("tone", cause=21)),
        ("", "29", Outcome("tone", cause=21)),
        ("outside: international", "00441234567890", Outcome("public")),
        ("premium: true", "9001234", Outcome("public")),
        ("outside: none", "29001234", Outcome("tone", cause=21)),
    ],
)
def test_what_may_be_dialled_outside(calls: str, dialled: str, outcome: Outcome) -> None:
    """The nearest to the box holds: here the fleet says it for all."""
    directory = make_directory(BOTH, {"fleet": FLEET + f"calls: {{{calls}}}\n"})
    assert ask(directory, dialled)[1] == outcome


def test_a_number_outside_needs_a_line() -> None:
    assert ask(make_directory(), "29001234")[1] == Outcome("tone", cause=1)
    assert ask(make_directory(BOTH), "29001234", "line:montevideo")[1] == Outcome("tone", cause=34)


# how many telephones, whether a line, whether they may call outside, to whom the line is lent
OFFICES = st.lists(
    st.tuples(st.integers(1, 3), st.booleans(), st.booleans(), st.sets(st.integers(0, 3))),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(OFFICES, st.sets(st.integers(0, 3)))
def test_the_reduced_proof_counts_what_asking_call_by_call_counts(
    offices: list[tuple[int, bool, bool, set[int]]], ringing: set[int]
) -> None:
    rings = [f'"{place}01"' for place in sorted(ringing) if place < len(offices)]
    group = f'groups: [{{number: "99", name: All, rings: [{", ".join(rings)}]}}]\n' if rings else ""
    menu = (
        'menus: [{number: "98", name: Ask, words: w, choices: {"1": "001"}, else: "001"}]\n' if rings else ""
    )
    files = {
        "fleet/fleet.yaml": FLEET.encode(),
        "fleet/companies/acme.yaml": f"name: Acme\n{group}{menu}".encode(),
        "fleet/words/acme/w.gsm": b"\xd0" + bytes(32),
    }
    for place, (extensions, has_line, may_dial, borrowers) in enumerate(offices):
        listed = "".join(
            f'  - {{number: "{place}{one}1", name: A, phone: sip, public: "+5982600{place}{one}10"}}\n'
            for one in range(extensions)
        )
        named = [f"b{one}" for one in sorted(borrowers) if one < len(offices) and one != place]
        lent = f", lent_to: [{', '.join(named)}]" if named else ""
        line = f'line: {{number: "+5982600{place}010"{lent}}}\n' if has_line else ""
        calls = "" if may_dial else "calls: {outside: none}\n"
        files[f"fleet/boxes/acme/b{place}.yaml"] = f"name: B\n{line}{calls}extensions:\n{listed}".encode()
    fleet = load_fleet(files).fleet
    directory = build_directory(fleet, fleet.companies[0])
    ends = [(slug, number) for slug, office in directory.offices.items() for number in office.extensions]
    calls = [(caller[0], callee[1]) for caller, callee in permutations(ends, 2)]
    whole = (*directory.emergencies, *directory.rings, *directory.menus)
    calls += [(slug, number) for slug, _ in ends for number in whole]
    calls += [(slug, "21231234") for slug, _ in ends if directory.offices[slug].settings.outside != "none"]
    every = [
        find_route(directory, caller, dialled, frozenset({failure}))
        for caller, dialled in calls
        for failure in list_failures(directory)
    ]
    proof = prove_company(directory)
    assert proof.calls == len(every)
    assert proof.lost == sum(route.outcome.kind in ("tone", "dark") for route in every)
    rungs = [route.attempts[-1].rung for route in every if route.path]
    assert proof.rungs == {rung: rungs.count(rung) for rung in set(rungs)}


def test_a_gap_names_the_office_the_failure_and_why() -> None:
    proof = prove_company(make_directory({"montevideo": BOTH["montevideo"]}))
    told = {(gap.office, gap.failure, gap.to): gap for gap in proof.gaps}
    gap = told["acme/salto", "link:salto", "other offices"]
    assert (gap.calls, gap.why) == (1, "the office has no line that works")
    assert told["acme/salto", "nothing", "emergency"].calls > 0
    assert ("acme/montevideo", "nothing", "emergency") not in told


GROUPS = """\
groups:
  - {number: "600", name: All, rings: ["101", "201"], then: "202"}
"""
TWO_AT_SALTO = """\
name: Salto
extensions:
  - {number: "201", name: A, public: "+59847331201"}
  - {number: "202", name: B, phone: sip, forward: {always: "101"}}
"""


def test_a_group_rings_whoever_can_be_reached() -> None:
    files = {"acme": f"name: Acme\n{GROUPS}", "salto": TWO_AT_SALTO}
    directory = make_directory(BOTH, files)
    group = Outcome("rings", "", "600")
    for down, rungs in (([], "cloud"), (["link:salto"], "cloud"), (["cloud"], "cloud+direct")):
        assert ask(directory, "600", *down) == (rungs, group)
    assert ask(directory, "600", "link:montevideo") == ("cloud+direct", group)
    assert ask(directory, "202") == ("cloud", Outcome("rings", "montevideo", "101"))


def test_what_comes_in_by_a_line_follows_its_owners_forward() -> None:
    moved = 'name: Salto\nextensions: [{number: "201", name: A, public: "+59847331201", forward: {always: "101"}}]\n'
    directory = make_directory(BOTH, {"salto": moved})
    assert ask(directory, "201") == ("cloud", Outcome("rings", "montevideo", "101"))
    public = "+59846221301"
    far = f'name: Rivera\nextensions: [{{number: "301", name: A, public: "{public}"}}]\nline: {{number: "{public}"}}\n'
    three = make_directory(BOTH, {"salto": moved, "rivera": far})
    assert ask(three, "201", "link:rivera", caller="rivera")[0] == "cloud+direct+line"


HOURS = """\
name: Acme
timezone: America/Montevideo
hours: {office: [{days: mon-fri, from: "09:00", to: "18:00"}]}
routes: [{number: "100", to: "101", hours: office, closed: "201"}, {number: "90", to: "100"}]
"""


def test_outside_its_hours_a_route_leads_elsewhere() -> None:
    directory = make_directory(extra={"acme": HOURS})
    for dialled in ("100", "90"):
        for closed, number in ((False, "101"), (True, "201")):
            outcome = find_route(directory, "salto", dialled, frozenset(), closed).outcome
            assert (outcome.kind, outcome.extension) == ("rings", number)
    assert directory.schedules["office"].stretches == (("09:00-17:59", "mon-fri"),)


def test_a_colleague_who_comes_in_by_a_line_meets_no_closed_door() -> None:
    rings = (
        'name: Salto\nextensions: [{number: "201", name: A}]\nline: {number: "+59847331299", rings: "100"}\n'
    )
    directory = make_directory({"montevideo": BOTH["montevideo"]}, {"acme": HOURS, "salto": rings})
    down = frozenset({Failure("link", "montevideo")})
    route = find_route(directory, "montevideo", "201", down, closed=True)
    # the line rings 100, in its hours 101: at Montevideo, which is cut off
    assert (route.attempts[-1].rung, route.outcome.kind) == ("line", "tone")
    back = find_route(directory, "salto", "47331299", frozenset(), closed=True)
    assert back.outcome == Outcome("rings", "salto", "201")


LENT = {
    "montevideo": MONTEVIDEO + 'line: {number: "+59826001101", lent_to: all}\n',
    "salto": SALTO_FILE + 'line: {number: "+59847331201", lent_to: [rivera, montevideo]}\n',
    "rivera": 'name: Rivera\nextensions: [{number: "301", name: A}]\n',
}
STRANGER = "29001234"


def test_who_may_use_whose_line() -> None:
    offices = make_directory(extra=LENT).offices
    assert {slug: (office.lenders, office.borrowers) for slug, office in offices.items()} == {
        "montevideo": (("salto",), ("rivera", "salto")),
        "salto": (("montevideo",), ("montevideo", "rivera")),
        "rivera": (("montevideo", "salto"), ()),
    }


@pytest.mark.parametrize(
    ("caller", "down", "rungs", "lender"),
    [
        ("montevideo", [], "cloud+line", ""),
        ("montevideo", ["line:montevideo"], "cloud+line+lent", "salto"),
        ("rivera", [], "cloud+lent", "montevideo"),
        ("rivera", ["cloud"], "cloud+lent+lent", "montevideo"),
        ("rivera", ["mesh:montevideo:rivera"], "cloud+lent+lent", "montevideo"),
        ("rivera", ["pbx:montevideo"], "cloud+lent+lent", "montevideo"),
        ("rivera", ["line:montevideo"], "cloud+lent+lent", "salto"),
        ("rivera", ["link:montevideo"], "cloud+lent+lent", "salto"),
        ("rivera", ["line:montevideo", "mesh:rivera:salto"], "cloud+lent+lent+lent", "salto"),
    ],
)
def test_the_own_line_then_lent_ones_in_their_order(
    caller: str, down: list[str], rungs: str, lender: str
) -> None:
    outcome = Outcome("public", lender)
    assert ask(make_directory(extra=LENT), STRANGER, *down, caller=caller) == (rungs, outcome)


def test_an_office_that_may_not_call_out_borrows_nothing() -> None:
    directory = make_directory(extra=LENT | {"rivera": LENT["rivera"] + "calls: {outside: none}\n"})
    assert ask(directory, STRANGER, caller="rivera") == ("cloud+line", Outcome("tone", cause=1))
    assert directory.offices["rivera"].lenders == ()
    assert [directory.offices[slug].borrowers for slug in ("montevideo", "salto")] == [
        ("salto",),
        ("montevideo",),
    ]


def test_the_path_of_a_lent_line() -> None:
    directory = make_directory(extra=LENT)
    line = ("line:acme/montevideo", "public")
    for down, path in (
        (frozenset[Failure](), ("pbx:acme/rivera", "pbx:acme/montevideo", "box:acme/montevideo", *line)),
        (frozenset({Failure("cloud")}), ("box:acme/montevideo", *line)),
    ):
        assert find_route(directory, "rivera", STRANGER, down).path == ("box:acme/rivera", *path)


def test_a_lent_line_serves_no_emergency_and_no_call_that_is_not_allowed() -> None:
    directory = make_directory(extra=LENT)
    assert ask(directory, "911", caller="rivera") == ("line", Outcome("tone", cause=34))
    assert ask(directory, "00441234567890", caller="rivera")[1] == Outcome("tone", cause=21)
    for down in (["link:rivera"], ["line:montevideo", "line:salto"]):
        assert ask(directory, STRANGER, *down, caller="rivera")[1] == Outcome("tone", cause=34)
    # and nobody in the company is called by it
    assert ask(directory, "201", "link:salto", caller="rivera")[1] == Outcome("tone", cause=34)


def test_a_link_for_one_call_carries_none_that_would_be_two() -> None:
    two = 'name: Salto\nextensions: [{number: "201", name: A}, {number: "202", name: B, phone: sip}]\n'
    for at_once, rungs in ((1, "cloud+direct"), (2, "cloud")):
        said = two + f"calls: {{at_once: {at_once}}}\n"
        assert ask(make_directory(extra={"salto": said}), "202", caller="salto")[0] == rungs


def test_the_number_outside_is_nobodys() -> None:
    country = describe_country("UY")
    assert choose_outside_number(country, lambda digits: False) == "21231234"
    assert choose_outside_number(country, {"21231234", "21231235"}.__contains__) == "21231236"
    for region in phonenumbers.SUPPORTED_REGIONS:
        country = describe_country(region)
        dialled = choose_outside_number(country, lambda digits: False)
        assert may_dial_outside(dialled, DEFAULTS, country), region
