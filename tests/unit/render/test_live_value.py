"""The pattern by which a PBX's templates know its value: what it takes is JSON that has what they ask for."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.reconcile.state import encode_live
from ritilib.render.live_value import SECRETS_VERSION, WHOLE_VALUE
from tests.golden.update import list_cases, render_case

FILES = {"extensions.conf": 'exten => s,1,NoOp("ñ\\")\n\ttab\x7f\u2028\n', "iax.conf": "[general]\n"}
WORDS = {"words.txt": "menu\x00\x1f/\U0001f4de"}


def write(files: object, version: int = 3) -> str:
    return encode_live({"format": 1, "secrets_version": version, "files": files}).decode()


def is_whole(text: str) -> bool:
    return re.search(WHOLE_VALUE, text) is not None


@given(st.text(max_size=200), st.text(max_size=200), st.integers(0, 999_999_999_999_999))
def test_every_value_of_ours_is_whole(text: str, other: str, version: int) -> None:
    files = {"extensions.conf": text, "iax.conf": other}
    assert is_whole(write(files, version)) and is_whole(write(files | {"words.txt": text}, version))


@given(st.integers(0, 999_999_999_999_999), st.dictionaries(st.sampled_from([*FILES]), st.text(max_size=50)))
def test_the_version_is_found_of_every_value_of_ours(version: int, files: dict[str, str]) -> None:
    assert re.sub(SECRETS_VERSION, r"\1", write(files, version)) == str(version)


@pytest.mark.parametrize(
    "text", ["", "{", '{"files": {}}', write(FILES)[:-1], write(FILES)[1:], write(FILES, -1)]
)
def test_no_version_is_found_of_what_is_none(text: str) -> None:
    assert not re.search(SECRETS_VERSION, text)


@pytest.mark.parametrize("case", list_cases())
def test_every_rendered_value_is_whole(case: str) -> None:
    tree = render_case(case)
    units = {path.partition("/pbx/live/")[0] for path in tree if "/pbx/live/" in path}
    assert units
    for unit in units:
        live = f"{unit}/pbx/live/"
        files = {path.removeprefix(live): text for path, text in tree.items() if path.startswith(live)}
        assert is_whole(write(files)), unit


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "no JSON",
        "{}",
        '{"files": {}}',
        '{"files": null, "format": 1, "secrets_version": 3}',
        write({}),
        write({"iax.conf": "x"}),
        write({"extensions.conf": "x"}),
        write({"extensions.conf": '"iax.conf": "y"'}),
        write(FILES | {"other.conf": "x"}),
        write(FILES | {"iax.conf": 7}),
        write(FILES)[:-1],
        write(FILES)[1:],
        write(FILES) + "}",
        write(FILES).replace('": "', '" "', 1),
        write(FILES).replace("\\n", "\n", 1),
        write(FILES).replace("\\n", "\\x", 1),
        write(FILES).replace(": 3}", ": -3}"),
        write(FILES).replace(": 3}", ": 03}"),
        write(FILES).replace(": 3}", ': "3"}'),
    ],
)
def test_what_is_none_is_not(text: str) -> None:
    assert not is_whole(text)


@given(st.data())
def test_what_a_hand_made_of_it_and_is_whole_has_what_the_templates_ask_for(data: st.DataObject) -> None:
    text = write(FILES | WORDS)
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(len(text), begin + 5)))
    spoiled = text[:begin] + data.draw(st.text('"\\{}:, \n0aé', max_size=4)) + text[end:]
    if is_whole(spoiled):
        value = json.loads(spoiled)
        assert all(type(one) is str for one in value["files"].values())
        assert {"extensions.conf", "iax.conf"} <= set(value["files"]) and type(
            value["secrets_version"]
        ) is int
