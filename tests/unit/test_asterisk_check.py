"""The reader of Asterisk's files. What the checker finds is tried in tests/integration/test_rendered.py."""

from __future__ import annotations

import pytest

from ritilib.devstack.asterisk_check.conf import LONGEST_BYTES, Conf, read_conf
from ritilib.devstack.asterisk_check.dialplan import list_steps

TEXT = """\
; a comment, and nothing of it = counts
[secret](!)
type = auth ; the rest of a line
password=a\\;b
[phone]( secret , other)
callerid="Ana" <101>
[other](!,secret)
set_var => A=B
"""


def values(conf: Conf, name: str) -> list[tuple[str, str]]:
    [section] = [one for one in conf.sections if one.name == name]
    return [(one.name, one.value) for one in conf.inherited(section)]


def test_sections_templates_comments_and_escapes() -> None:
    conf = read_conf("pjsip.conf", TEXT)
    assert conf.problems == ()
    assert [(one.name, one.bases, one.is_template) for one in conf.sections] == [
        ("secret", (), True),
        ("phone", ("secret", "other"), False),
        ("other", ("secret",), True),
    ]
    own = [("type", "auth"), ("password", "a;b")]
    assert values(conf, "other") == [*own, ("set_var", "A=B")]
    assert values(conf, "phone") == [*own, *own, ("set_var", "A=B"), ("callerid", '"Ana" <101>')]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("[open", "is no section"),
        ("[a]b", "is no section"),
        ("word", "has no equal sign"),
        ("a=b\0c", "holds a NUL"),
        ("a=" + "é" * (LONGEST_BYTES // 2), "longer than Asterisk's buffer"),
    ],
)
def test_what_asterisk_would_drop_is_a_problem_at_its_line(line: str, what: str) -> None:
    [problem] = read_conf("x.conf", f"[general]\n\n{line}\n").problems
    assert (problem.file, problem.line) == ("x.conf", 3) and what in problem.what


def test_a_setting_before_any_section_is_a_problem() -> None:
    [problem] = read_conf("x.conf", "a=b\n").problems
    assert problem.line == 1


def test_only_a_line_feed_ends_a_line_and_only_ascii_blanks_are_cut() -> None:
    conf = read_conf("x.conf", "[a]\nb=\u2028[c]\x85\u00a0\t\r\n#include x\n")
    assert values(conf, "a") == [("b", "\u2028[c]\x85\u00a0")]
    assert [(one.name, one.value) for one in conf.directives] == [("include", "x")]


def test_the_steps_of_a_dial_plan() -> None:
    text = """\
[a]
exten => _X!,1,Set(GROUP(line)=${FILTER(0-9,${EXTEN})})
 same => n(again),ExecIf($[${LEN(${EXTEN})} > 3]?Set(TIMEOUT(absolute)=5):Hangup(1))
"""
    first, second = list_steps(read_conf("extensions.conf", text))
    assert (first.context, first.extension, first.label, first.line) == ("a", "_X!", "", 2)
    assert (first.applications, first.functions) == ({"Set"}, {"GROUP", "FILTER"})
    assert (second.extension, second.label) == ("_X!", "again")
    assert (second.applications, second.functions) == ({"ExecIf", "Set", "Hangup"}, {"LEN", "TIMEOUT"})
