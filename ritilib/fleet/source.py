"""The fleet's files as YAML that remembers where each word stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from ritilib.errors import Problem
from ritilib.fleet.strict import read_tree
from ritilib.fleet.wording import word_error

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
        """What read_tree makes of it."""
        return read_tree(self.path, self.content)

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

    def locate_key(self, steps: Sequence[Step]) -> tuple[int, int]:
        """(line, column) from 1 of the key, in a mapping that exists, that is the last of steps."""
        node = self.tree
        for step in steps[:-1]:
            node = node[step]
        line, column = node.lc.key(steps[-1])
        return int(line) + 1, int(column) + 1

    def problem(self, steps: Sequence[Step], what: str, mend: str, rule: str = "") -> Problem:
        """A problem at the value that steps lead to."""
        line, column = self.locate(steps)
        return Problem(self.path, line, column, what, mend, rule)

    def warning(self, steps: Sequence[Step], what: str, mend: str, rule: str) -> Problem:
        """The same for what may be meant so."""
        return replace(self.problem(steps, what, mend, rule), severity="warning")


def _start(tree: Any) -> tuple[int, int]:
    if isinstance(tree, CommentedMap | CommentedSeq):
        return int(tree.lc.line or 0), int(tree.lc.col or 0)
    return 0, 0


def parse_source(path: str, content: bytes) -> Source | Problem:
    """The file as a Source, or the one Problem for which it cannot be read as a YAML mapping."""
    source = Source(path, content)
    tree = source.tree
    if isinstance(tree, Problem):
        return tree
    if tree is None:
        return Problem(
            path, 1, 1, "is empty", "start it with a line such as `name: …`, or remove it", "empty-file"
        )
    if not isinstance(tree, CommentedMap):
        mend = "start it with a line such as `name: …`"
        return Problem(path, 1, 1, "not a mapping of keys to values", mend, "not-mapping")
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
        details = _drop_echoes(error.errors(include_url=False))
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


def _drop_echoes(details: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The details without "too short" of lists whose items are there but wrong: pydantic counts only good ones."""
    inner = {detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]))}
    return [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in inner]


def _explain(source: Source, model: type[BaseModel], detail: Mapping[str, Any]) -> Problem:
    steps: tuple[Step, ...] = detail["loc"]
    if detail["type"] == "extra_forbidden":
        mend = f"take it out, or spell it as one of: {_known(model, steps)}"
        line, column = source.locate_key(steps)
        what = f"unknown key `{'.'.join(str(step) for step in steps)}`"
        return Problem(source.path, line, column, what, mend, "unknown-key")
    what, mend, rule = word_error(detail)
    return source.problem(steps, what, mend, rule)


def _known(model: type[BaseModel], steps: Sequence[Step]) -> str:
    """The keys that the mapping holding the last step may have."""
    current: Any = model
    for step in steps[:-1]:
        if step not in current.model_fields:
            continue  # an item's index, or a name that the file gives itself
        current = _inner_model(current.model_fields[step].annotation)
    return ", ".join(sorted(field.alias or name for name, field in current.model_fields.items()))


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
