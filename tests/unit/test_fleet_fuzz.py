"""Whatever the files hold, load_fleet gives a fleet or a FleetError: no other error, no endless work."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from ritilib.errors import FleetError, Problem
from ritilib.fleet.edit import NewExtension, add_extension
from ritilib.fleet.load import load_fleet
from ritilib.fleet.source import Source, parse_source
from tests.unit.fleets import ACME, FLEET, MONTEVIDEO, make_files

SALTO = "fleet/boxes/acme/salto.yaml"
SETTINGS = (
    'codecs: [alaw, gsm]\nplaces: [{name: mvd, boxes: 9}]\nemergency: ["105"]\ncalls: {outside: none}\n'
)
GROUPS = 'groups:\n  - {number: "600", name: Todos, rings: ["101"], how: in-turn}\nlink: {kbit_s: 256}\n'
OFFICE = """    forward: {busy: "600"}
line: {number: "+59826001101"}
adapter: {mac: "c0:74:ad:00:11:22"}
place: mvd
"""
GOOD = {
    "fleet/fleet.yaml": (FLEET + SETTINGS).encode(),
    "fleet/companies/acme.yaml": (ACME + GROUPS).encode(),
    "fleet/boxes/acme/montevideo.yaml": (MONTEVIDEO + OFFICE).encode(),
}
PATHS = sorted(GOOD)
KEYS = "name extensions number routes lighthouses images overlay id groups rings forward line adapter"
VALUES = "place places calls link codecs null ~ true 0 -1 1e400 .inf .nan 0x1F 0o7 1_0 12:30:45 = ñ"
FORMS = "100.80.0.0/0 0.0.0.0/32 255.255.255.255 +59826001101 UY XX {} [] '' \\ud800 2001-99-99 600"
# What has a meaning in YAML or in the model, so that mutations come past the first token.
WORDS = (
    *"-:?,[]{}#&*!|>'\"%@`\t\n\r\0\x85\ufeff ",
    *("- ", ": ", "\n  ", "\n- ", "---\n", "...\n", "? ", "[" * 50, "{a: " * 50, "- " * 50),
    *("<<: ", "&a ", "*a", "!!str ", "!!float ", "!<x> ", "%YAML 1.1", "<<<<<<< HEAD\n", "=======\n"),
    *KEYS.split(),
    *VALUES.split(),
    *FORMS.split(),
    "9" * 5000,
)
quick = settings(
    max_examples=300,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


def load(files: dict[str, bytes]) -> tuple[Problem, ...]:
    """Every problem; each must be such that a person and a pipeline can read it."""
    try:
        problems = load_fleet(files).warnings
    except FleetError as error:
        problems = error.problems
        assert problems
    for problem in problems:
        assert problem.rule and problem.mend and problem.line >= 0 and problem.column >= 0
        str(problem).encode()
    return problems


@quick
@given(path=st.sampled_from(PATHS), content=st.binary(max_size=200))
def test_arbitrary_bytes(path: str, content: bytes) -> None:
    load(GOOD | {path: content})


@quick
@given(path=st.sampled_from(PATHS), words=st.lists(st.sampled_from(WORDS), max_size=40))
@example(PATHS[0], ["? ", "[]"])
def test_words_of_yaml_in_any_order(path: str, words: list[str]) -> None:
    load(GOOD | {path: "".join(words).encode("utf-8")})


@settings(quick, max_examples=800)
@given(path=st.sampled_from(PATHS), seed=st.integers(0, 2**32))
def test_mutated_good_files(path: str, seed: int) -> None:
    load(GOOD | {path: mutate(GOOD[path].decode(), random.Random(seed)).encode()})


def mutate(text: str, chance: random.Random) -> str:
    """The text with one to four pieces removed, doubled, moved or replaced by a word."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 0, 1, 3, 10)))
        piece = text[start:end]
        word = chance.choice((chance.choice(WORDS), piece * 2, "", text[end : end + 5]))
        text = text[:start] + word + text[end:]
    return text


@settings(quick, max_examples=250)
@given(path=st.sampled_from(PATHS), seed=st.integers(0, 2**32))
def test_damaged_bytes(path: str, seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(GOOD[path])
    for _ in range(chance.randint(1, 3)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    load(GOOD | {path: bytes(content)})


trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(WORDS[-60:]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("name", "number", "extensions", "public", "to", "port")), inner)
    ),
    max_leaves=12,
)


@settings(quick, max_examples=250)
@given(
    path=st.sampled_from(PATHS),
    key=st.sampled_from(("name", "extensions", "groups", "line", "overlay")),
    tree=trees,
)
def test_any_value_for_a_key(path: str, key: str, tree: Any) -> None:
    text = GOOD[path].decode().replace(f"{key}:", f"was_{key}:", 1)
    load(GOOD | {path: f"{text}{key}: {write_flow(tree)}\n".encode("utf-8", "replace")})


def write_flow(tree: Any) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {write_flow(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(write_flow, tree)) + "]"
    return str(tree)


def test_what_is_mutated_is_a_fleet() -> None:
    assert [problem.rule for problem in load(GOOD)] == ["one-lighthouse"]


def test_an_alias_bomb_of_every_size_is_refused_before_it_unfolds() -> None:
    for deep in (1, 10, 100, 1000):
        lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, deep)]
        (problem,) = load(GOOD | {"fleet/companies/acme.yaml": ("\n".join(lines) + "\n").encode()})
        assert (problem.line, problem.rule) == (1, "yaml-alias")


def test_nesting_of_every_depth_and_kind_is_refused() -> None:
    for opening in ("[", "{a: ", "- ", "? ", "- {a: [", "'x': ["):
        for deep in (20, 200, 2000):
            text = f"name: x\nroutes:\n  {opening * deep}"
            problems = load(GOOD | {"fleet/companies/acme.yaml": text.encode()})
            assert [problem.file for problem in problems] == ["fleet/companies/acme.yaml"]
    steps = "".join(f"{' ' * n}a:\n" for n in range(500))
    (problem,) = load(GOOD | {"fleet/companies/acme.yaml": steps.encode()})
    assert problem.rule == "yaml-depth"


@settings(quick, max_examples=200)
@given(
    name=st.text(min_size=1, max_size=20).filter(lambda name: name.isprintable() and name.strip()),
    seed=st.integers(0, 2**32),
)
def test_an_extension_added_to_a_mutated_file_changes_nothing_else(name: str, seed: int) -> None:
    files = make_files()
    files[SALTO] = mutate(files[SALTO].decode(), random.Random(seed)).encode()
    try:
        load_fleet(files)
        (new,) = add_extension(files, "acme/salto", NewExtension("777", name, "sip")).values()
    except FleetError:
        return
    before, after = parse_source(SALTO, files[SALTO]), parse_source(SALTO, new.encode())
    assert isinstance(before, Source) and isinstance(after, Source)
    *others, added = after.tree.pop("extensions")
    assert others == before.tree.pop("extensions")
    assert dict(added) == {"number": "777", "name": name, "phone": "sip"}
    assert after.tree == before.tree
