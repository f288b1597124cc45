"""Whatever the model admits lands in every rendered file as a word, never as a part of its language."""

from __future__ import annotations

import json
import unicodedata
from ipaddress import IPv4Network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ritilib.box.compose import compose_box
from ritilib.devstack.asterisk_check.conf import Conf, read_conf
from ritilib.errors import FleetError
from ritilib.fleet.box_file import BoxFile, Extension
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.load import Loaded, load_fleet
from ritilib.fleet.model import Company
from ritilib.render.language import CALLER_ID_BYTES, escape_heredoc
from ritilib.render.tree import render_tree
from tests.hostile import (
    FIELDS,
    FRAGMENTS,
    admitted_names,
    hostile_words,
    image_names,
    is_admitted,
    make_fleet_files,
    make_menu,
    slugs,
)

NAMES_AT_ONCE = 10
FLEETS = 500  # 5,000 names of extensions, and 1,000 of companies and offices
PJSIP = "rendered/acme/office/box/etc/pjsip.conf"
REPLACED = set('"\\<>;[]')


def tries(count: int) -> settings:
    """So many examples, the same in each run: a change of something else shall not find another one."""
    return settings(
        max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )


def render(files: dict[str, bytes]) -> dict[str, str]:
    return render_tree(load_fleet(files), files, "test")


def rename(loaded: Loaded, extensions: list[str], company: str, office: str) -> Loaded:
    """The fleet with other names, each judged by the model; without YAML, whose parser would take most of the time."""
    (old,) = loaded.fleet.companies
    (box,) = old.boxes
    said = [
        Extension(number=one.number, name=name, phone="sip", mailbox=one.mailbox)
        for one, name in zip(box.said.extensions, extensions, strict=True)
    ]
    box = box.model_copy(update={"said": BoxFile(name=office, extensions=tuple(said))})
    new = Company(slug=old.slug, said=CompanyFile(name=company), boxes=(box,))
    return Loaded(loaded.fleet.model_copy(update={"companies": (new,)}), loaded.claims)


def read_caller_ids(text: str) -> list[tuple[str, str]]:
    """(name, number) of each endpoint in order, as Asterisk splits `"name" <number>` at the last < and the quotes."""
    conf = read_conf(PJSIP, text)
    assert (conf.problems, conf.directives) == ((), ())
    found = []
    for section in conf.sections:
        for one in section.settings:
            if one.name == "callerid":
                name, _, number = one.value.rpartition("<")
                assert (name[0], name[-2:], number[-1]) == ('"', '" ', ">")
                assert '"' not in name[1:-2]
                found.append((name[1:-2], number[:-1]))
    return found


def test_five_thousand_names_change_no_file_but_the_names() -> None:
    files = make_fleet_files({"office": ["Name"] * NAMES_AT_ONCE})
    loaded = load_fleet(files)
    harmless = render_tree(loaded, files, "test")
    tried = 0

    @tries(FLEETS)
    @given(
        st.lists(admitted_names, min_size=NAMES_AT_ONCE, max_size=NAMES_AT_ONCE),
        st.tuples(admitted_names, admitted_names),
    )
    def try_names(names: list[str], others: tuple[str, str]) -> None:
        nonlocal tried
        tried += len(names)
        tree = render_tree(rename(loaded, names, *others), files, "test")
        manifests = {path for path in harmless if path.endswith("/manifest.json")}
        assert tree.keys() == harmless.keys()
        assert {path for path in tree if tree[path] != harmless[path]} <= {PJSIP, *manifests}
        lines = tree[PJSIP].split("\n")
        assert tree[PJSIP].splitlines() == lines[:-1]  # nor does another reader see other lines
        for line, expected in zip(lines, harmless[PJSIP].split("\n"), strict=True):
            assert line == expected or (
                expected.startswith('callerid="Name" <') and line.startswith('callerid="')
            )
        ids = read_caller_ids(tree[PJSIP])
        assert [number for _, number in ids] == [str(1000 + index) for index in range(NAMES_AT_ONCE)]
        for (shown, _), name in zip(ids, names, strict=True):
            assert len(shown.encode()) <= CALLER_ID_BYTES
            assert shown == name or len(name.encode()) > CALLER_ID_BYTES or REPLACED & set(name)
            assert not REPLACED & set(shown)
            kept = zip(shown, name, strict=False)
            assert all(one == other or other in REPLACED for one, other in kept)

    try_names()
    assert tried >= 5000


@tries(1000)
@given(hostile_words)
def test_a_name_is_taken_where_a_reviewer_sees_what_it_is(word: str) -> None:
    """No control character (C0, C1, DEL), no line or paragraph separator, nothing that turns the text's direction."""
    seen = all(
        unicodedata.category(one) not in ("Cc", "Zl", "Zp", "Cs")
        and unicodedata.bidirectional(one)
        not in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        for one in word
    )
    assert is_admitted("name", word) == (seen and 1 <= len(word) <= 64)


@tries(1000)
@given(st.sampled_from([field for field in FIELDS if field != "name"]), hostile_words)
def test_names_of_things_hold_nothing_that_a_language_could_read(field: str, word: str) -> None:
    if is_admitted(field, word):
        assert word.isascii()
        assert not set(word) - set(
            "abcdefghijklmnopqrstuvwxyz0123456789+-./:_@" + ("*#" if field == "key" else "")
        )


@tries(200)
@given(hostile_words.filter(lambda word: not is_admitted("name", word)))
def test_what_is_refused_is_refused_with_its_place(word: str) -> None:
    with pytest.raises(FleetError) as caught:
        load_fleet(make_fleet_files({"office": ["Name", word]}))
    (problem,) = caught.value.problems
    assert problem.file == "fleet/boxes/acme/office.yaml"
    assert problem.line == 1
    assert len(str(problem).splitlines()) == 1


@tries(50)
@given(st.lists(admitted_names, min_size=2, max_size=2), admitted_names, admitted_names)
def test_what_the_files_say_is_what_is_rendered(names: list[str], company: str, office: str) -> None:
    harmless = make_fleet_files({"office": ["Name"] * 2})
    said = make_fleet_files({"office": names}, names=(company, office))
    assert load_fleet(said).fleet == rename(load_fleet(harmless), names, company, office).fleet


def list_expected(peers: set[str]) -> set[str]:
    return {"cloud", *(f"box-{peer}" for peer in peers)}


def check_sections(conf: Conf, expected: set[str]) -> None:
    """Exactly these peers, each with its secret's template and nothing twice."""
    assert conf.problems == ()
    real = [
        section.name for section in conf.sections if not section.is_template and section.name != "general"
    ]
    assert sorted(real) == sorted(expected)
    for section in conf.sections:
        if not section.is_template and section.name != "general":
            pair = (f"{section.name}.0",) if section.name.startswith(("cloud", "pbx-")) else ()
            assert section.bases == (f"{section.name}-secret", *pair)
            secrets = [one.value for one in conf.inherited(section) if one.name == "secret"]
            assert secrets == [f"of-{section.name}"]


@tries(150)
@given(
    st.lists(slugs.filter(lambda slug: is_admitted("slug", slug)), min_size=1, max_size=5, unique=True),
    slugs.filter(lambda slug: is_admitted("slug", slug) and slug not in ("any", "lighthouse")),
    slugs.filter(lambda slug: is_admitted("slug", slug)),
    image_names.filter(lambda name: is_admitted("image", name)),
    st.integers(0, 2**32 - 4096).map(lambda base: IPv4Network((base & 0xFFFFF000, 20))),
)
def test_slugs_that_are_words_of_a_language_stay_names(
    boxes: list[str], company: str, fleet: str, image: str, overlay: IPv4Network
) -> None:
    said = {
        "name": fleet,
        "images": {"pbx": image, "box": image, "overlay": image},
        "overlay": str(overlay),
        "lighthouses": [{"name": boxes[0], "address": "192.0.2.1"}],
    }
    tree = render(make_fleet_files({box: ["Name"] for box in boxes}, company=company, fleet=said, lent=True))
    for box in boxes:
        folder = f"rendered/{company}/{box}"
        rendered = {
            path.removeprefix(f"{folder}/box/"): text
            for path, text in tree.items()
            if path.startswith(f"{folder}/box/")
        }
        pairs = json.loads(rendered["secrets.json"])["pairs"]
        number = str(1000 + boxes.index(box))
        secrets = {"iax": {name: f"of-{name}" for name in pairs}, "phones": {number: "pw"}, "line": "pw"}
        files = compose_box(rendered, secrets)
        peers = set(boxes) - {box}
        check_sections(read_conf("iax.conf", files["iax.conf"]), list_expected(peers))
        on_pbx = tree[f"{folder}/pbx/live/extensions.conf"]
        for plan, words in ((files["extensions.conf"], {"office"}), (on_pbx, {"office", "borrow"})):
            contexts = [section.name for section in read_conf("x", plan).sections]
            assert len(set(contexts)) == len(contexts)
            assert {name for name in contexts if name.startswith(("office-", "borrow-"))} == {
                f"{word}-{peer}" for word in words for peer in peers
            }
        pairs = json.loads(tree[f"{folder}/pbx/secrets.json"])["pairs"]
        templates = "".join(f"[{name}-secret](!)\nsecret=of-{name}\n" for name in sorted(pairs))
        live = read_conf("x", templates + tree[f"{folder}/pbx/live/iax.conf"])
        check_sections(live, {"box", *(f"pbx-{peer}" for peer in peers)})


def test_a_file_whose_name_ends_with_a_line_feed_is_no_box() -> None:
    files = make_fleet_files({"office": ["Name"]})
    files["fleet/boxes/acme/office.yaml\n"] = make_fleet_files(
        {"office": ["Other"]}, settings={"serial": "0" * 8}
    )["fleet/boxes/acme/office.yaml"]
    try:
        (box,) = load_fleet(files).fleet.companies[0].boxes
    except FleetError as error:
        assert {problem.file for problem in error.problems} == {"fleet/boxes/acme/office.yaml\n"}
    else:
        assert box.said.serial is None


@tries(500)
@given(
    st.lists(st.sampled_from(["EOT", " ", "\t", "\n", "a", "\u2003", "\x85", "${", "%{", "$", "%"])).map(
        "".join
    )
)
def test_no_text_ends_its_heredoc(text: str) -> None:
    """What Nomad's parser makes of it: tests/integration/test_hostile.py."""
    for line in escape_heredoc(text).split("\n"):
        assert line.strip() != "EOT"


def test_the_words_are_hostile() -> None:
    admitted = [word for word in FRAGMENTS if is_admitted("name", word)]
    refused = [word for word in FRAGMENTS if not is_admitted("name", word)]
    assert {"${EXTEN}", "{{ key }}", "[general]", ";", '"', "\\", "EOT", "<101>", "\u540d"} <= set(admitted)
    assert {"\n", "\0", "\x85", "\u2028", "\u202e", "\ud800"} <= set(refused)


@tries(100)
@given(admitted_names, slugs.filter(lambda slug: is_admitted("slug", slug)))
def test_a_menus_name_stands_nowhere_and_its_words_are_a_files_name(name: str, words: str) -> None:
    tree = render(make_fleet_files({"office": ["Name"]}, menus=[make_menu(name, words)]))
    harmless = render(make_fleet_files({"office": ["Name"]}, menus=[make_menu("Menu", "harmless")]))
    for folder in ("pbx/live", "box/etc"):
        place = f"rendered/acme/office/{folder}"
        plan, other = (one[f"{place}/extensions.conf"] for one in (tree, harmless))
        assert plan == other.replace("words/harmless,", f"words/{words},")
        assert tree[f"{place}/words.txt"] == harmless[f"{place}/words.txt"].replace("harmless ", f"{words} ")
