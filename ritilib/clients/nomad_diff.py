"""The diff of Nomad's plan as lines for people. Pure functions of values.

What stands in Git is no secret (rules of the fleet's repository); what a hand put into a job may be one. So where a job
is not what the controller registered, what it says is shown without its environment and without lines that look like
secrets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any

HIDDEN = "[hidden]"
CONTEXT = 2  # lines around a changed one
LONGEST_LINE = 160
_MARKS = {"Added": "+", "Deleted": "-", "Edited": "~"}
_SECRET = re.compile(
    r"secret|password|passwd|passphrase|token|private|credential|authorization", re.IGNORECASE
)
_ENVIRONMENT = re.compile(r"^env(\[|$)", re.IGNORECASE)

Hide = Callable[
    [str, str, str], str
]  # a field's name, its old text and its new one → the old one as it is shown


def write_diff(diff: Mapping[str, Any], is_foreign: bool) -> tuple[str, ...]:
    """The lines of a Diff of Nomad's (`job plan`): marked + - ~, each level two spaces further in; () where none.

    is_foreign: the job that is there is not the one that the controller registered last. A new job is one line: its
    whole text stands in Git.
    """
    if diff["Type"] == "None":
        return ()
    if diff["Type"] == "Added":
        return (f'+ job "{diff["ID"]}"',)
    hide = hide_foreign if is_foreign else _show
    return (f'{_MARKS[diff["Type"]]} job "{diff["ID"]}"', *_list_parts(diff, "  ", hide))


def diff_texts(before: str, after: str) -> tuple[str, ...]:
    """A unified diff of two texts, without its two lines of names; long lines are cut."""
    lines = unified_diff(before.splitlines(), after.splitlines(), n=CONTEXT, lineterm="")
    return tuple(
        line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…" for line in list(lines)[2:]
    )


def hide_foreign(name: str, before: str, after: str) -> str:
    """What a hand has written in place of `after`, without what may be a secret."""
    if before and before != after and (_ENVIRONMENT.match(name) or _SECRET.search(name)):
        return HIDDEN
    known = set(after.splitlines())
    return "\n".join(
        f"{_SECRET.split(line)[0]}{HIDDEN}" if line not in known and _SECRET.search(line) else line
        for line in before.split("\n")
    )


def _show(name: str, before: str, after: str) -> str:
    return before


def _list_parts(part: Mapping[str, Any], indent: str, hide: Hide) -> Iterator[str]:
    for field in part.get("Fields") or ():
        yield from _write_field(field, indent, hide)
    for one in part.get("Objects") or ():
        if one["Type"] in _MARKS:
            yield f"{indent}{_MARKS[one['Type']]} {one['Name']}"
            yield from _list_parts(one, f"{indent}  ", hide)
    for kind in ("TaskGroup", "Task"):
        for one in part.get(f"{kind}s") or ():
            if one["Type"] in _MARKS:
                what = "group" if kind == "TaskGroup" else "task"
                notes = [*_list_updates(one), *(one.get("Annotations") or ())]
                said = f" ({', '.join(notes)})" if notes else ""
                yield f'{indent}{_MARKS[one["Type"]]} {what} "{one["Name"]}"{said}'
                yield from _list_parts(one, f"{indent}  ", hide)


def _list_updates(group: Mapping[str, Any]) -> Sequence[str]:
    return [f"{number} {kind}" for kind, number in sorted((group.get("Updates") or {}).items())]


def _write_field(field: Mapping[str, Any], indent: str, hide: Hide) -> Iterator[str]:
    mark = _MARKS.get(field["Type"])
    if mark is None:
        return
    name, after = field["Name"], field["New"]
    before = hide(name, field["Old"], after)
    notes = f" ({', '.join(field['Annotations'])})" if field.get("Annotations") else ""
    if "\n" in before + after:
        yield f"{indent}{mark} {name}:{notes}"
        for line in diff_texts(before, after):
            yield f"{indent}  {line}"
    elif mark == "+":
        yield f"{indent}+ {name}: {_quote(after)}{notes}"
    elif mark == "-":
        yield f"{indent}- {name}: {_quote(before)}{notes}"
    else:
        yield f"{indent}~ {name}: {_quote(before)} → {_quote(after)}{notes}"


def _quote(text: str) -> str:
    return f'"{text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…"}"'
