"""Menus: what the model takes, where a call goes on, what is rendered, and what `riti trace --press` says."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from ritilib.errors import FleetError, RitiError
from ritilib.fleet.load import load_fleet
from ritilib.fleet.places import Places
from ritilib.render.manifest import compute_tree_id, find_scope, group_inputs
from ritilib.render.tree import render_tree
from ritilib.routing.directory import Directory, build_directory
from ritilib.routing.ladder import Failure, Outcome, find_route
from ritilib.routing.proof import prove_company
from ritilib.routing.trace import trace_call
from tests.unit.fleets import ACME, MONTEVIDEO, SALTO, make_files
from tests.unit.test_cli import run, write

MENUS = """\
groups:
  - {number: "600", name: All, rings: ["101", "201"], then: "700"}
menus:
  - {number: "700", name: Welcome, words: welcome, choices: {"1": "201", "2": "701", "#": "600"}, else: "101"}
  - {number: "701", name: More, words: more, choices: {"0": "700"}, seconds: 3, else: "201"}
"""
FRAME = b"\xd1" + bytes(32)
WORDS = {
    "fleet/words/acme/welcome.gsm": FRAME * 50,
    "fleet/words/acme/more.gsm": FRAME * 25,
    "fleet/words/acme/unused.gsm": FRAME,
}
LINES = {
    "montevideo": MONTEVIDEO + 'line: {number: "+59826001100", rings: "700"}\n',
    "salto": SALTO + 'line: {number: "+59847331201"}\n',
}
MENU = Outcome("menu", extension="700")
NOTHING: frozenset[Failure] = frozenset()


def make_company(menus: str = MENUS, **changed: str) -> dict[str, bytes]:
    return {**make_files(acme=ACME + menus, **(LINES | changed)), **WORDS}


def make_directory(**changed: str) -> Directory:
    fleet = load_fleet(make_company(**changed)).fleet
    return build_directory(fleet, fleet.companies[0])


def test_a_circle_through_a_choice_is_a_persons_own_and_one_through_else_is_none() -> None:
    loaded = load_fleet(make_company())
    assert [menu.number for menu in loaded.fleet.companies[0].said.menus] == ["700", "701"]
    with pytest.raises(FleetError, match=r"700 leads back to itself: 700 → 701 → 700"):
        load_fleet(
            make_company(
                MENUS.replace('else: "101"', 'else: "701"').replace(
                    'seconds: 3, else: "201"', 'seconds: 3, else: "700"'
                )
            )
        )


def test_only_words_that_are_said_go_with_the_company() -> None:
    loaded = load_fleet(make_company())
    assert loaded.fleet.companies[0].words == {"welcome": FRAME * 50, "more": FRAME * 25}
    assert [(one.file, one.rule) for one in loaded.warnings if one.rule == "words-unused"] == [
        ("fleet/words/acme/unused.gsm", "words-unused")
    ]


def test_words_belong_to_the_inputs_of_their_company_alone() -> None:
    files = make_company() | {"fleet/companies/zorro.yaml": b"name: Zorro\n", "fleet/words/gone/x.gsm": FRAME}
    inputs = group_inputs(files)
    assert set(WORDS) <= inputs["acme"].keys()
    assert not any("words" in path for path in (*inputs["zorro"], *inputs["_fleet"]))
    assert "gone" not in inputs
    assert find_scope("fleet/words/acme/more.gsm", FRAME) == "acme"
    other = group_inputs(files | {"fleet/words/acme/more.gsm": FRAME * 26})
    assert compute_tree_id(other["acme"]) != compute_tree_id(inputs["acme"])
    assert compute_tree_id(other["zorro"]) == compute_tree_id(inputs["zorro"])


def test_every_box_and_pbx_has_the_words_and_says_them() -> None:
    files = make_company()
    tree = render_tree(load_fleet(files), files, "0")
    expected = f"more {b64encode(FRAME * 25).decode()}\nwelcome {b64encode(FRAME * 50).decode()}\n"  # sorted
    for box in ("montevideo", "salto"):
        for folder, go in (("pbx/live", "from-box"), ("box/etc", "direct")):
            place = f"rendered/acme/{box}/{folder}"
            assert tree[f"{place}/words.txt"] == expected
            plan = tree[f"{place}/extensions.conf"]
            assert "exten => 700,1,Goto(menu-700,s,1)\n" in plan
            menu = plan.partition("[menu-700]\n")[2].partition("\n[")[0]
            assert "Read(PRESSED,/var/spool/asterisk/words/welcome,1,t(),1,6)" in menu
            assert f'GotoIf($["${{PRESSED}}" = "1"]?{go},201,1)' in menu
            # what is pressed is compared, and stands in no Goto
            assert all("PRESSED" not in line.partition("?")[2] for line in menu.splitlines())


def test_a_company_without_menus_is_rendered_as_before_and_its_job_is_the_same() -> None:
    files, plain = make_company(), make_files(**LINES | {"montevideo": MONTEVIDEO})
    tree, without = (render_tree(load_fleet(one), one, "0") for one in (files, plain))
    assert not any("words" in path for path in without)
    for box in ("montevideo", "salto"):
        job = f"rendered/acme/{box}/pbx/job.nomad.hcl"
        assert tree[job] == without[job]
        for folder in ("pbx/live", "box/etc"):
            plan = without[f"rendered/acme/{box}/{folder}/extensions.conf"]
            assert not any(word in plan for word in ("menu", "RINGBACK", "engaged", "Read("))


@pytest.mark.parametrize(
    ("down", "path"),
    [
        ("none", ("box", "pbx")),
        ("mesh:montevideo:salto", ("box", "pbx")),
        ("pbx:salto", ("box", "pbx")),
        ("pbx:montevideo", ("box",)),
        ("link:montevideo", ("box",)),
        ("cloud", ("box",)),
    ],
)
def test_a_menu_is_heard_from_the_own_pbx_or_else_the_own_box(down: str, path: tuple[str, ...]) -> None:
    route = find_route(make_directory(), "montevideo", "700", frozenset({Failure(*down.split(":"))}))  # type: ignore[arg-type]
    assert route.outcome == MENU
    assert route.path == tuple(f"{kind}:acme/montevideo" for kind in path)


def test_whatever_leads_to_a_menu_ends_there() -> None:
    directory = make_directory(
        salto=SALTO.replace('public: "+59847331201"', 'public: "+59847331201"\n    forward: {always: "700"}')
    )
    for dialled in ("700", "201", "26001100", "0059826001100"):
        assert find_route(directory, "montevideo", dialled, NOTHING).outcome == MENU
    assert find_route(directory, "montevideo", "600", NOTHING).outcome == Outcome("rings", "", "600")


def test_a_colleague_who_comes_in_by_a_line_meets_no_menu() -> None:
    outcome = find_route(make_directory(), "salto", "101", frozenset({Failure("link", "salto")})).outcome
    assert outcome == Outcome("rings", "montevideo", "101")
    leading = MENUS.replace('else: "101"', 'else: "201"')
    files = make_company(leading)
    fleet = load_fleet(files).fleet
    directory = build_directory(fleet, fleet.companies[0])
    # the line's menu leads back to the office that is cut off
    route = find_route(directory, "salto", "101", frozenset({Failure("link", "salto")}))
    assert (route.attempts[-1].rung, route.outcome.kind) == ("line", "tone")


def test_the_proof_counts_menus_and_each_gets_through() -> None:
    directory = make_directory()
    proof = prove_company(directory)
    assert not any(gap.to.startswith("menu") and gap.failure != f"box:{gap.office[5:]}" for gap in proof.gaps)
    assert [gap.why for gap in proof.gaps if gap.to == "menu 700"] == ["the caller's own box is dead"] * 2


def trace(dialled: str, pressed: str, *down: Failure) -> tuple[list[str], str]:
    files = make_company()
    fleet = load_fleet(files).fleet
    directory = build_directory(fleet, fleet.companies[0])
    told = trace_call(
        directory, Places(files), "montevideo", dialled, frozenset(down), closed=False, pressed=pressed
    )
    return [f"{hop.rung} {hop.source}" for hop in told.hops], told.end


def test_a_trace_follows_what_is_pressed() -> None:
    company, salto = "fleet/companies/acme.yaml", "fleet/boxes/acme/salto.yaml"
    assert trace("700", "") == ([f"cloud {company}:8"], "is answered by the menu 700")
    assert trace("700", "1") == (
        [f"cloud {company}:8", f"cloud {salto}:3"],
        "is answered by the menu 700; 1 rings 201 at acme/salto",
    )
    hops, end = trace("700", "20#", Failure("cloud"))
    assert [hop.split()[0] for hop in hops] == ["cloud", "direct"] * 4
    assert end == (
        "is answered by the menu 700; 2 is answered by the menu 701; 0 is answered by the menu 700; "
        "# rings the group 600"
    )
    # a key that the menu does not have leads to who rings else
    assert trace("700", "9")[1].endswith("; 9 rings 101 at acme/montevideo")
    for dialled, pressed in (("101", "1"), ("700", "11")):
        with pytest.raises(RitiError, match="there is no menu to press 1 for"):
            trace(dialled, pressed)


def test_the_command_prints_the_choices_hops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, make_company())
    asked = ("trace", "acme/montevideo:101", "700", "--repo", str(tmp_path))
    assert run(monkeypatch, *asked, "--press", "1", "--down", "cloud") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[:2] for line in lines[:-1]] == [["cloud", "no"], ["direct", "reached"]] * 2
    assert lines[-1].endswith("is answered by the menu 700; 1 rings 201 at acme/salto")
    assert run(monkeypatch, *asked, "--press", "11") == 1
    assert "there is no menu to press 1 for" in capsys.readouterr().err
