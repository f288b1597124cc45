"""A file of Asterisk's configuration, read as main/config.c (process_text_line) of Asterisk 22 reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ritilib.errors import Problem

LONGEST_BYTES = 8190  # its line buffer is 8192 bytes: with the line's end, and a NUL
_BLANKS = "".join(map(chr, range(33)))  # ast_strip: whatever is below 33, and nothing of Unicode
_SECTION = re.compile(r"\[([^\]]*)\](?:\((.*)\))?")
_MEND = "mend the template in ritilib/render/templates, or the escape in ritilib/render/language.py"


@dataclass(frozen=True)
class Setting:
    """One line `name = value` or `name => value`."""

    line: int
    name: str
    value: str


@dataclass(frozen=True)
class Section:
    """`[name](bases)` and its own lines; a template (`!`) gives them to others and is nothing itself."""

    line: int
    name: str
    bases: tuple[str, ...]
    is_template: bool
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Conf:
    """What a file says: directives are its lines `#include …` and `#exec …`."""

    sections: tuple[Section, ...]
    directives: tuple[Setting, ...]
    problems: tuple[Problem, ...]

    def inherited(self, section: Section) -> Iterator[Setting]:
        """The lines of a section and before them those of its templates."""
        for base in section.bases:
            for one in self.sections:
                if one.name == base:
                    yield from self.inherited(one)
                    break
        yield from section.settings


def read_conf(path: str, text: str) -> Conf:
    """A file as Asterisk reads it; problems at path:line where it would warn or drop something."""
    heads: list[tuple[int, str, tuple[str, ...], bool, list[Setting]]] = []
    directives: list[Setting] = []
    problems: list[Problem] = []

    def complain(number: int, what: str) -> None:
        problems.append(Problem(path, number, 0, what, _MEND))

    # fgets ends a line at a line feed alone; Python's splitlines would at U+2028 as well
    for number, raw in enumerate(text.split("\n"), start=1):
        if len(raw.encode()) > LONGEST_BYTES:
            complain(number, "is longer than Asterisk's buffer for a line")
        if "\0" in raw:
            complain(number, "holds a NUL, where Asterisk's line ends")
        line = _uncomment(raw.partition("\0")[0]).strip(_BLANKS)
        if not line:
            continue
        if line[0] == "[":
            head = _SECTION.fullmatch(line)
            if head is None:
                complain(number, f"`{line}` is no section")
                continue
            options = [part.strip(_BLANKS) for part in (head[2] or "").split(",") if part.strip(_BLANKS)]
            templates = tuple(one for one in options if one not in ("!", "+"))
            heads.append((number, head[1], templates, "!" in options, []))
        elif line[0] == "#":
            word, _, rest = line[1:].partition(" ")
            directives.append(Setting(number, word, rest.strip(_BLANKS)))
        elif "=" not in line:
            complain(number, f"`{line}` has no equal sign")
        elif not heads:
            complain(number, f"`{line}` stands before any section")
        else:
            key, _, value = line.partition("=")
            settings = heads[-1][-1]
            settings.append(Setting(number, key.strip(_BLANKS), value.removeprefix(">").strip(_BLANKS)))
    sections = tuple(
        Section(line, name, bases, is_template, tuple(settings))
        for line, name, bases, is_template, settings in heads
    )
    return Conf(sections, tuple(directives), tuple(problems))


def _uncomment(line: str) -> str:
    """A line without its comment: a semicolon that no backslash stands before. RITI writes no `;-- … --;`."""
    kept = []
    start = 0
    while (place := line.find(";", start)) >= 0:
        if place == 0 or line[place - 1] != "\\":
            kept.append(line[start:place])
            return "".join(kept)
        kept.append(line[start : place - 1] + ";")
        start = place + 1
    return "".join([*kept, line[start:]])
