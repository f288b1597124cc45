"""The fleet's files as YAML that remembers where each word stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ritilib.errors import Problem

Model = TypeVar("Model", bound=BaseModel)
Step = str | int


@dataclass(frozen=True)
class Source:
    """One file that is a YAML mapping: its path in the repository, and its content.

    The tree is parsed when it is asked for, and is no part of what one process hands another: of 10,000 files that
    are fine nobody asks where a word stands.
    """

    path: str
    content: bytes

    @cached_property
    def tree(self) -> Any:
        """ruamel's round-trip tree, which remembers lines."""
        return _parse(self.content)

    def __reduce__(self) -> tuple[type[Source], tuple[str, bytes]]:
        return Source, (self.path, self.content)

    def locate(self, steps: Sequence[Step]) -> tuple[int, int]:
        """(line, column) from 1 of the value at steps, or of the nearest thing above it that exists."""
        node, place = self.tree, _start(self.tree)
        for step in steps:
            if isinstance(node, CommentedMap) and step in node:
                place = node.lc.value(step)
                if place[0] != node.lc.key(step)[0]:
                    place = node.lc.key(step)
                node = node[step]
            elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
                place = node.lc.item(step)
                node = node[step]
            else:
                break
        return place[0] + 1, place[1] + 1

    def problem(self, steps: Sequence[Step], what: str, mend: str) -> Problem:
        """A problem at the value that steps lead to."""
        line, column = self.locate(steps)
        return Problem(self.path, line, column, what, mend)


def _parse(content: bytes) -> Any:
    return YAML(typ="rt").load(content.decode("utf-8"))


def _start(tree: Any) -> tuple[int, int]:
    if isinstance(tree, CommentedMap | CommentedSeq):
        return int(tree.lc.line or 0), int(tree.lc.col or 0)
    return 0, 0


def parse_source(path: str, content: bytes) -> Source | Problem:
    """The file as a Source, or the one Problem for which it cannot be read as a YAML mapping."""
    source = Source(path, content)
    try:
        tree = source.tree
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return Problem(path, line, 1, "not UTF-8 text", "save the file as UTF-8")
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        what = f"not YAML: {error.problem or error.context or 'cannot be parsed'}"
        return Problem(path, line, column, what, "mend the syntax at this place")
    except YAMLError:
        return Problem(path, 0, 0, "not YAML", "mend the syntax of this file")
    if not isinstance(tree, CommentedMap):
        return Problem(
            path, 1, 1, "not a mapping of keys to values", "start it with a line such as `name: …`"
        )
    return source


def build_model(source: Source, model: type[Model]) -> tuple[Model | None, list[Problem]]:
    """The file's tree as `model`, and every problem that its keys and values have.

    Where nothing is wrong but keys that nobody knows, the model comes without them, so that the rest of the file is
    still judged together with the other files; else it is None.
    """
    said = _plain(source.tree)
    try:
        return model.model_validate(said), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    found = [_explain(source, model, detail) for detail in details]
    if any(detail["type"] != "extra_forbidden" for detail in details):
        return None, found
    for detail in details:
        *above, key = detail["loc"]
        holder = said
        for step in above:
            holder = holder[step]
        del holder[key]
    return model.model_validate(said), found


def _explain(source: Source, model: type[BaseModel], detail: Mapping[str, Any]) -> Problem:
    steps: tuple[Step, ...] = detail["loc"]
    key = ".".join(str(step) for step in steps)
    if detail["type"] == "extra_forbidden":
        return source.problem(
            steps, f"unknown key `{key}`", f"take it out, or spell it as one of: {_known(model, steps)}"
        )
    if detail["type"] == "missing":
        return source.problem(steps, f"`{key}` is missing", "add it")
    said = detail.get("input")
    shown = f" ({said!r})" if isinstance(said, str | int | float | bool) else ""
    pattern = detail.get("ctx", {}).get("pattern")
    if pattern:
        return source.problem(
            steps, f"`{key}`{shown} has not the form asked for", f"write it so that it matches {pattern}"
        )
    mend = "quote it, so that YAML keeps it as text" if detail["type"] == "string_type" else "change it so"
    return source.problem(steps, f"`{key}`{shown}: {detail['msg'][0].lower()}{detail['msg'][1:]}", mend)


def _known(model: type[BaseModel], steps: Sequence[Step]) -> str:
    """The keys that the mapping holding the last step may have."""
    current: Any = model
    for step in steps[:-1]:
        if isinstance(step, int):
            continue
        current = _inner_model(current.model_fields[step].annotation)
    return ", ".join(sorted(current.model_fields))


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _inner_model(part)
        if found is not None:
            return found
    return None


def _plain(node: Any) -> Any:
    """ruamel's tree as plain values: pydantic shall judge what is said, not ruamel's classes."""
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    if isinstance(node, bool):
        return node
    for kind in (str, int, float):
        if isinstance(node, kind):
            return kind(node)
    return node
