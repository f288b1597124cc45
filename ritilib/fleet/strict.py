"""YAML as the fleet's files use it: mappings, lists and plain values, each said once and in full.

What YAML offers beyond that is refused with its place: an alias can make a short file exponentially large, a tag or a
`%YAML` line changes what a value means, and a key said twice loses one of its values in silence.
"""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.parser import Parser
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner
from ruamel.yaml.tag import Tag

from ritilib.errors import Problem

DEEPEST = 12  # the model is four deep; a person's mistake is seldom deeper
LONGEST_NUMBER = 20  # digits; what is longer is text, since Python refuses to print what has over 4,300
_DIRECTIVE = re.compile("^%", re.MULTILINE)
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})(?= |\r?$)", re.MULTILINE)
_TEXT = Tag(suffix="tag:yaml.org,2002:str")
# No key of the fleet is a date, `=` or a merge: these read as the text that stands there.
_READ_AS_TEXT = {f"tag:yaml.org,2002:{name}" for name in ("timestamp", "merge", "value")}
_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
# What ruamel says → what helps, for the mistakes that people make; the first that fits counts.
_MENDS = (
    (r"'\t'", "write spaces: YAML takes no tab before or between words"),
    ("cannot start any token", "put the value in quotes: YAML keeps this character for itself"),
    ("mapping values are not allowed", "quote a value that holds `: `, or indent this key as its neighbours"),
    ("unexpected end of stream", "close the quote that is opened here"),
    ("expected the node content", "close the bracket or brace, or write the value that is missing"),
    ("expected ',' or", "part the items with commas, and close the bracket or brace"),
    ("could not find expected ':'", "write a colon and a space after the key"),
    ("expected <block end>", "indent this line as its neighbours"),
    ("sequence entries are not allowed", "begin the list on a line of its own, indented, or quote the value"),
    ("another document", "keep one document in a file: take this `---` line and what follows elsewhere"),
    ("escape", "double the backslash, or use single quotes"),
)


class Refusal(MarkedYAMLError):
    """Good YAML that the fleet's files do not use; rule and mend are the Problem's."""

    def __init__(self, what: str, mark: Any, rule: str, mend: str) -> None:
        super().__init__(None, None, what, mark)
        self.rule = rule
        self.mend = mend


class _StrictComposer(Composer):
    """ruamel's own, but for what is refused."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        if event.anchor is not None:
            what = f"an anchor or alias of YAML (`{event.anchor}`)"
            mend = (
                "write the value itself at each place; settings are inherited from the company and the fleet"
            )
            raise Refusal(what, event.start_mark, "yaml-alias", mend)
        if event.ctag is not None:
            mend = "remove the word with the `!`; quote the value where it is text"
            shown = str(event.ctag).replace("tag:yaml.org,2002:", "!!")
            raise Refusal(f"a tag of YAML (`{shown}`)", event.start_mark, "yaml-tag", mend)
        return super().compose_node(parent, index)

    def compose_scalar_node(self, anchor: Any) -> Any:
        node = super().compose_scalar_node(anchor)
        tag = str(node.tag)
        if tag in _READ_AS_TEXT or (tag in _NUMBERS and len(node.value) > LONGEST_NUMBER):
            node.ctag = _TEXT
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        first: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                mend = "write a plain word before the colon; quote a value that begins with [ or {"
                raise Refusal("a list or mapping as a key", key.start_mark, "yaml-syntax", mend)
            key.ctag = _TEXT  # `101: x` is a key that nobody knows, not a number
            if key.value in first:
                what = f"the key `{key.value}` is twice here: also at line {first[key.value]}"
                raise Refusal(what, key.start_mark, "key-twice", "keep one of the two")
            first[key.value] = key.start_mark.line + 1
        return node


def read_tree(path: str, content: bytes) -> Any:
    """ruamel's round-trip tree of content, or the one Problem for which there is none; path is where it is said to be.

    A tree is what YAML makes of it: a CommentedMap, a CommentedSeq, a plain value, or None for an empty file.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _count_place(content[: error.start].decode("utf-8"))
        return Problem(path, line, column, "not UTF-8 text", "save the file as UTF-8", "not-utf8")
    if directive := _DIRECTIVE.search(text):
        line, column = _count_place(text[: directive.start()])
        return Problem(path, line, column, "a YAML directive", "remove the line with the %", "yaml-directive")
    if conflict := _CONFLICT.search(text):
        line, column = _count_place(text[: conflict.start()])
        mend = (
            "keep what shall be of the two sides, and remove the three lines of <<<<<<<, ======= and >>>>>>>"
        )
        return Problem(path, line, column, "a conflict of Git that nobody decided", mend, "git-conflict")
    yaml = YAML(typ="rt")
    yaml.Composer = _StrictComposer
    # without comments, which nobody asks of this tree: a fifth of the time
    yaml.Parser, yaml.Scanner = Parser, Scanner
    yaml.max_depth = DEEPEST
    try:
        return yaml.load(text)
    except Refusal as error:
        line, column = _find_place(error, text)
        return Problem(path, line, column, error.problem, error.mend, error.rule)
    except MaxDepthExceededError as error:
        line, column = _find_place(error, text)
        mend = f"nothing here is more than {DEEPEST} deep: look for brackets or dashes too many"
        return Problem(path, line, column, "nested too deeply", mend, "yaml-depth")
    except MarkedYAMLError as error:
        line, column = _find_place(error, text)
        said = str(error.problem or error.context or "cannot be parsed").removeprefix("but ")
        return Problem(path, line, column, f"not YAML: {said}", _find_mend(said), "yaml-syntax")
    except ReaderError as error:
        line, column = _count_place(text[: error.position])
        what = f"not YAML: a character (U+{error.character:04X}) that no text holds"
        return Problem(path, line, column, what, "remove it", "yaml-syntax")


def _find_place(error: MarkedYAMLError, text: str) -> tuple[int, int]:
    """(line, column) from 1; where the file ended too early, the place that was opened, or the last word."""
    mark, last = error.problem_mark or error.context_mark, text.rstrip()
    if mark.index >= len(last) and error.context_mark is not None:
        mark = error.context_mark
    if mark.index >= len(last) and last:
        return _count_place(last[:-1])
    return mark.line + 1, mark.column + 1


def _count_place(before: str) -> tuple[int, int]:
    """(line, column) from 1 of the character that follows these."""
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _find_mend(said: str) -> str:
    found = (mend for words, mend in _MENDS if words in said)
    return next(found, "mend the syntax at this place")
