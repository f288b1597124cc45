"""Call records: which words of a call they hold, and that no Dial of a rendered dial plan goes without one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ritilib.devstack.asterisk_check.conf import read_conf
from ritilib.devstack.asterisk_check.dialplan import Step, list_steps
from ritilib.render.records import write_record_files

GOLDEN = Path(__file__).parents[2] / "golden"
PLANS = sorted(GOLDEN.glob("*/rendered/*/*/*/*/extensions.conf"))
# Asterisk's own words of a call in which a caller's bytes stand; they would need an escape that JSON is not given
HOSTILE = {"clid", "src", "dst", "lastapp", "lastdata", "dcontext", "accountcode", "userfield"}
_FIELD = re.compile(r'"[^"]*"|[a-z]+(?:\([^)]*\))?')
# what a record's words may be made of: constants, what RITI has filtered, and digits that stand in the dial plan
_SAFE = re.compile(r"[a-z0-9]*|\$\{(ARG1|ARG2|CALL)\}|\$\{FILTER\(.*\)(:\d+:\d+)?\}")
_CALLED = re.compile(
    r"record,s,1\((none|cloud|direct|line|lent|phone|group|menu|mailbox|mesh|box)"
    r",(\+?\d+|\+?\$\{(EXTEN|DIALLED|LINE|MAILBOX)\})\)"
)


def read_steps(path: Path) -> list[Step]:
    return list_steps(read_conf(path.name, path.read_text()))


def find_fields(kind: str) -> list[str]:
    files = write_record_files("box" if kind == "box" else "pbx", "acme/salto")
    (line,) = [line for line in files["cdr_custom.conf"].splitlines() if line.startswith("fields=")]
    return _FIELD.findall(line.removeprefix("fields="))


@pytest.mark.parametrize("kind", ["box", "pbx"])
def test_a_record_begins_with_its_mark_and_says_who_wrote_it(kind: str) -> None:
    assert find_fields(kind)[:2] == ['"riti: call"', f'"node: {kind}:acme/salto"']
    assert not {field.partition("(")[0] for field in find_fields(kind)} & HOSTILE


def test_a_box_alone_records_what_was_not_dialled() -> None:
    assert "\nunanswered=yes\n" in write_record_files("box", "acme/salto")["cdr.conf"]
    assert "\nunanswered=no\n" in write_record_files("pbx", "acme/salto")["cdr.conf"]


def test_there_are_dial_plans() -> None:
    assert {path.parents[1].name for path in PLANS} == {"box", "pbx"}


@pytest.mark.parametrize("path", PLANS, ids=lambda path: str(path.relative_to(GOLDEN)))
def test_every_dial_is_recorded(path: Path) -> None:
    recorded, unrecorded = set(), []
    for step in read_steps(path):
        place = (step.context, step.extension)
        if step.application == "Gosub" and step.argument.startswith("record,"):
            assert _CALLED.fullmatch(step.argument), step
            recorded.add(place)
        elif step.application == "Dial" and place not in recorded:
            unrecorded.append(step)
    assert unrecorded == []


@pytest.mark.parametrize("path", PLANS, ids=lambda path: str(path.relative_to(GOLDEN)))
def test_nothing_unfiltered_gets_into_a_record(path: Path) -> None:
    words = [
        word
        for step in read_steps(path)
        for word in re.findall(r"(?:^|Set\()(?:MASTER_CHANNEL\()?CDR\([a-z]+\)\)?=(.*)", step.argument)
    ]
    assert len(words) >= 6
    # what ExecIf runs stands in its brackets
    assert [word for word in words if not _SAFE.fullmatch(word) and not _SAFE.fullmatch(word[:-1])] == []
