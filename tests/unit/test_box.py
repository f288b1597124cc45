"""riti box, riti extension: what is added stands in the file, and every other byte stays as it was."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from pathlib import Path

import pytest

from ritilib.errors import FleetError
from ritilib.fleet.edit import NewExtension, add_box, add_extension, rotate_authority, rotate_secrets
from ritilib.fleet.load import load_fleet
from ritilib.fleet.source import Source, parse_source
from tests.unit.fleets import ACME, FLEET, MONTEVIDEO, SALTO, make_files
from tests.unit.test_cli import list_files, run, write

WORKSHOP = NewExtension("202", "Taller: nº 1 # norte", "sip", "+59847331202")
COMMENTED = """\
# Salto, by the river

name:   Salto       # the town
serial: '10000000a1b2c3d5'
extensions:
    -   number: "201"   # reception
        name: >-
          Depósito

        phone: "adapter"
    # the second telephone is planned for March


# what follows is nobody's
"""
FLOW = '# one line\nname: Salto\nextensions: [ {number: "201", name: Depósito} , ]   # all\n'
LAST_IS_BLOCK = 'name: Salto\nextensions:\n- number: "201"\n  name: |-\n    Depósito\n\n# end\n'
NO_LINE_END = 'name: Salto\nextensions:\n  - {number: "201",\n     name: Depósito} # all'
SHAPES = {
    "comments, wide indents": COMMENTED,
    "flow": FLOW,
    "flow after a byte order mark": "\ufeff" + FLOW,
    "a block scalar at the end": LAST_IS_BLOCK,
    "no line feed at the end": NO_LINE_END,
    "carriage returns": COMMENTED.replace("\n", "\r\n"),
    "keys after the list": 'extensions:\n  - number: "201"\n    name: D\n\n# the office\nname: Salto\n',
}


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES.keys())
def test_one_more_extension_and_no_other_byte_is_touched(text: str) -> None:
    files = make_files(salto=text)
    (new,) = add_extension(files, "acme/salto", WORKSHOP).values()
    steps = {step for step, *_ in SequenceMatcher(None, text, new, autojunk=False).get_opcodes()}
    assert steps == {"equal", "insert"}
    assert new.count("\r\n") == (new.count("\n") if "\r" in text else 0)
    loaded = load_fleet(files | {"fleet/boxes/acme/salto.yaml": new.encode()})
    first, second = loaded.fleet.companies[0].boxes[1].said.extensions
    assert first.number == "201"
    assert (second.number, second.name) == (WORKSHOP.number, WORKSHOP.name)
    assert (second.phone, second.public) == (WORKSHOP.phone, WORKSHOP.public)


def test_the_new_item_stands_as_its_neighbours_before_the_comments() -> None:
    (new,) = add_extension(make_files(salto=COMMENTED), "acme/salto", WORKSHOP).values()
    added = (
        '    - number: "202"\n'
        "      name: 'Taller: nº 1 # norte'\n"
        "      phone: sip\n"
        '      public: "+59847331202"\n'
    )
    assert new == COMMENTED.replace('phone: "adapter"\n', 'phone: "adapter"\n' + added)


def test_what_yaml_would_take_for_something_else_is_quoted() -> None:
    files = make_files()
    for name in ("yes", "101", "null", "1e3", "2001-01-01", "- x", "a: b", "*x", "'", "ñandú", " x"):
        (new,) = add_extension(files, "acme/salto", NewExtension("202", name, "sip")).values()
        source = parse_source("x", new.encode())
        assert isinstance(source, Source)
        assert source.tree["extensions"][1]["name"] == name


def test_a_new_box_is_written_as_people_write_it() -> None:
    rivera = NewExtension("401", "Ventas", None, "+59846221401")
    assert add_box(make_files(), "acme/rivera", "Rivera", "10000000a1b2c3d6", [rivera, WORKSHOP]) == {
        "fleet/boxes/acme/rivera.yaml": (
            "# yaml-language-server: $schema=../../schema/box.json\n"
            "name: Rivera\n"
            'serial: "10000000a1b2c3d6"\n'
            "extensions:\n"
            '  - number: "401"\n'
            "    name: Ventas\n"
            '    public: "+59846221401"\n'
            '  - number: "202"\n'
            "    name: 'Taller: nº 1 # norte'\n"
            "    phone: sip\n"
            '    public: "+59847331202"\n'
        )
    }


@pytest.mark.parametrize(
    "text", ["name: Salto\n", "name: Salto\nextensions: []\n", "extensions: {}\n", "- x\n"]
)
def test_a_file_without_a_list_to_add_to_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(FleetError) as caught:
        add_extension(make_files(salto=text), "acme/salto", WORKSHOP)
    (problem,) = caught.value.problems
    assert problem.file == "fleet/boxes/acme/salto.yaml" and problem.line and problem.mend


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    write(tmp_path, make_files())
    return tmp_path


def test_add_show_remove(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list_files(repo)
    add = ("box", "add", "acme/rivera", "--name", "Rivera", "--extension", "401:Ventas", "--repo", str(repo))
    public = ("--extension", "402:Taller:sip", "--public", "+59846221401")
    assert run(monkeypatch, *add, *public) == 0
    said = capsys.readouterr()
    assert said.out == "fleet/boxes/acme/rivera.yaml written; next: riti render\n"
    assert said.err == ""
    assert run(monkeypatch, "box", "show", "acme/rivera", "--json", "--repo", str(repo)) == 0
    shown = json.loads(capsys.readouterr().out)
    phones = [
        {word: phone[word] for word in ("number", "name", "phone", "public")}
        for phone in shown.pop("extensions")
    ]
    assert phones == [
        {"number": "401", "name": "Ventas", "phone": "adapter", "public": "+59846221401"},
        {"number": "402", "name": "Taller", "phone": "sip", "public": None},
    ]
    assert shown.pop("settings")["codecs"] == ["alaw"]
    assert shown == {
        "box": "acme/rivera",
        "file": "fleet/boxes/acme/rivera.yaml",
        "name": "Rivera",
        "serial": None,
        "enrollment": {"generation": 1, "revoked": False},
        "address": "100.80.0.5",
        "pbx_addresses": ["100.80.0.6", "100.80.0.7"],
        "adapter": None,
        "line": None,
        "canary": False,
        "routes": [],
        "groups": [],
    }
    assert run(monkeypatch, "box", "show", "acme/montevideo", "--repo", str(repo)) == 0
    said = capsys.readouterr().out
    assert "route\t100 leads to 101\n" in said and "codecs\talaw\n" in said
    assert run(monkeypatch, "box", "remove", "acme/rivera", "--repo", str(repo)) == 0
    assert capsys.readouterr().out == "fleet/boxes/acme/rivera.yaml removed; next: riti render\n"
    assert list_files(repo) == before


def test_show_says_how_its_pbx_is_replaced(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    upkeep = 'canary: true\nmaintenance: [{days: sun, from: "02:00", to: "04:00"}]\n'
    write(repo, make_files(acme=ACME + "timezone: America/Montevideo\n", salto=SALTO + upkeep))
    assert run(monkeypatch, "box", "show", "acme/salto", "--repo", str(repo)) == 0
    said = capsys.readouterr().out
    assert "canary\tyes\n" in said and "maintenance\tsun 02:00-04:00\n" in said
    assert run(monkeypatch, "box", "show", "acme/salto", "--json", "--repo", str(repo)) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["settings"]["maintenance"] == [{"days": "sun", "from": "02:00", "to": "04:00"}]


def test_a_change_says_the_warnings_that_it_brings(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(repo, {"fleet/companies/zorro.yaml": b"name: Zorro\n"})
    add = ("box", "add", "zorro/paysandu", "--name", "P", "--extension", "301:V", "--public", "+541143211201")
    assert run(monkeypatch, *add, "--repo", str(repo)) == 0
    assert capsys.readouterr().err.startswith("warning: fleet/boxes/zorro/paysandu.yaml:6: public number +54")
    assert run(monkeypatch, "box", "remove", "zorro/paysandu", "--repo", str(repo)) == 0
    assert capsys.readouterr().err.startswith(
        "warning: fleet/companies/zorro.yaml:1: company zorro has no box"
    )


def test_a_removed_boxs_addresses_stay_claimed(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "render", "--repo", str(repo)) == 0
    claims = list_files(repo / "fleet/claims/overlay")
    assert run(monkeypatch, "box", "remove", "acme/salto", "--repo", str(repo)) == 0
    assert list_files(repo / "fleet/claims/overlay") == claims
    assert run(monkeypatch, "render", "--repo", str(repo)) == 0
    assert list_files(repo / "fleet/claims/overlay") == claims


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("extension", "add", "acme/salto", "101", "X", "--phone", "sip"),
            "salto.yaml:6: extension 101 is twice",
        ),
        (("extension", "add", "acme/salto", "202", "X"), "salto.yaml:6: a second extension on the adapter"),
        (("extension", "add", "acme/salto", "911", "X", "--phone", "sip"), "911 is an emergency number"),
        (("extension", "add", "acme/rivera", "401", "X"), "fleet/boxes/acme/rivera.yaml: is not there"),
        (("extension", "add", "rivera", "401", "X"), "`rivera` names no box; write company and box"),
        (("box", "remove", "acme/montevideo"), "acme.yaml:4: route 100 leads to 101, which is no extension"),
        (("box", "remove", "acme/rivera"), "fleet/boxes/acme/rivera.yaml: is not there"),
        (("box", "show", "acme/rivera"), "fleet/boxes/acme/rivera.yaml: is not there"),
        (("box", "add", "acme/salto", "--name", "S", "--extension", "9:X"), "salto.yaml: exists already"),
        (
            ("box", "add", "../x", "--name", "S", "--extension", "501:X"),
            "a box of an unknown company `..`",
        ),
        (
            ("box", "add", "zorro/x", "--name", "", "--extension", "5:X", "--serial", "?"),
            "`serial` ('?') has not the form asked for",
        ),
    ],
)
def test_a_change_that_the_fleet_cannot_take_is_refused_whole(
    arguments: tuple[str, ...],
    expected: str,
    repo: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = list_files(repo)
    assert run(monkeypatch, *arguments, "--repo", str(repo)) == 1
    said = capsys.readouterr()
    assert expected in said.err and said.out == ""
    assert all(line.startswith("error: ") for line in said.err.splitlines())
    assert list_files(repo) == before


def test_a_change_of_a_fleet_with_mistakes_says_them_all(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(repo, make_files(acme=ACME + "colour: blue\n", montevideo=MONTEVIDEO + "serial: x\n", fleet=FLEET))
    before = list_files(repo)
    add = ("extension", "add", "acme/salto", "202", "X", "--phone", "sip")
    assert run(monkeypatch, *add, "--repo", str(repo)) == 1
    said = capsys.readouterr().err
    assert "unknown key `colour`" in said and "`serial` ('x')" in said
    assert list_files(repo) == before


@pytest.mark.parametrize("extension", ["201", "201:a:spi", "201:a:sip:b"])
def test_an_extension_in_short_has_two_or_three_parts(
    extension: str, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list_files(repo)
    add = ("box", "add", "acme/rivera", "--name", "R", "--extension", extension, "--repo", str(repo))
    assert run(monkeypatch, *add) == 2
    assert list_files(repo) == before


def test_an_added_extension_changes_one_file(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list_files(repo)
    add = ("extension", "add", "acme/salto", "202", "Taller", "--phone", "sip", "--repo", str(repo))
    assert run(monkeypatch, *add) == 0
    after = list_files(repo)
    added = '  - number: "202"\n    name: Taller\n    phone: sip\n'
    assert after == before | {"fleet/boxes/acme/salto.yaml": (SALTO + added).encode()}


COMPANIES = {
    "not said": ACME,
    "said, with a comment": "name: Acme S.A.  # ours\nsecrets:   1   # since 2026\nroutes: []\n",
    "flow": "{name: Acme S.A., routes: []} # all\n",
    "a folded name": "# Acme\nname: >-\n  Acme\n  S.A.\n\n# the rest\nroutes: []\n",
    "no line feed at the end": "name: Acme S.A.",
    "carriage returns": ACME.replace("\n", "\r\n"),
    "indented": "  name: Acme S.A.\n  routes: []\n",
}


@pytest.mark.parametrize("text", COMPANIES.values(), ids=COMPANIES.keys())
def test_secrets_are_counted_up_and_no_other_byte_is_touched(text: str) -> None:
    for generation in (2, 3):
        files = make_files(acme=text)
        (new,) = rotate_secrets(files, ["acme"]).values()
        steps = {step for step, *_ in SequenceMatcher(None, text, new, autojunk=False).get_opcodes()}
        assert steps <= (
            {"equal", "insert"} if generation == 2 and "secrets" not in text else {"equal", "replace"}
        )
        loaded = load_fleet(files | {"fleet/companies/acme.yaml": new.encode()})
        assert loaded.fleet.companies[0].said.secrets == generation
        assert new.count("\r\n") == (new.count("\n") if "\r" in text else 0)
        text = new


def test_without_a_company_all_are_counted_up() -> None:
    files = make_files() | {"fleet/companies/zorro.yaml": b"name: Zorro\nsecrets: 9\n"}
    changed = rotate_secrets(files)
    assert sorted(changed) == ["fleet/companies/acme.yaml", "fleet/companies/zorro.yaml"]
    assert changed["fleet/companies/zorro.yaml"] == "name: Zorro\nsecrets: 10\n"


@pytest.mark.parametrize("text", ["secrets: yes\n", "secrets: [1]\nname: A\n", "routes: []\n", "- x\n"])
def test_secrets_that_cannot_be_counted_are_refused_with_their_place(text: str) -> None:
    with pytest.raises(FleetError) as caught:
        rotate_secrets(make_files(acme=text), ["acme"])
    (problem,) = caught.value.problems
    assert problem.file == "fleet/companies/acme.yaml" and problem.mend


def test_a_company_that_is_not_there_is_named() -> None:
    with pytest.raises(FleetError, match="is not there"):
        rotate_secrets(make_files(), ["nobody"])


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("at_once", [False, True])
def test_the_overlays_authority_is_counted_up(line_end: str, at_once: bool) -> None:
    files = make_files()
    path = "fleet/fleet.yaml"
    files[path] = files[path].decode().replace("\n", line_end).encode()
    for generation in (2, 3):
        before = files[path].decode()
        files[path] = rotate_authority(files, at_once and generation == 2)[path].encode()
        said = load_fleet(files).fleet.said.overlay_authority
        assert (said.generation, said.at_once) == (generation, at_once and generation == 2)
        kept = [line for line in files[path].decode().splitlines(True) if "authority" not in line]
        assert kept == [line for line in before.splitlines(True) if "authority" not in line]


@pytest.mark.parametrize("said", ["overlay_authority: 2\n", "overlay_authority: {generation: many}\n"])
def test_an_authority_that_cannot_be_counted_is_refused_with_its_place(said: str) -> None:
    files = make_files()
    path = "fleet/fleet.yaml"
    with pytest.raises(FleetError) as caught:
        rotate_authority(files | {path: files[path] + said.encode()})
    (problem,) = caught.value.problems
    assert problem.file == path and problem.mend
