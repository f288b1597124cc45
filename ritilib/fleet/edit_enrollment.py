"""Which hardware is let in, changed in a box's file: text to text, every other byte of it stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode

from ritilib.errors import FleetError, Problem
from ritilib.fleet.box_file import BoxFile, Enrollment
from ritilib.fleet.edit import find_box, find_last_leaf, find_line_end, find_value
from ritilib.fleet.source import build_model, parse_source

Change = Callable[[BoxFile], Mapping[str, str]]  # key → its words in YAML


def approve(files: Mapping[str, bytes], key: str, serial: str) -> dict[str, str]:
    """path → text of the box's file with the serial number that was seen; FleetError where another stands there."""

    def change(said: BoxFile) -> Mapping[str, str]:
        if said.serial not in (None, serial):
            what = f"`serial` is {said.serial}, and the box that asks says {serial}"
            mend = f"new hardware: `riti enroll replace {key}`; else `riti enroll deny {key}`"
            raise FleetError([Problem(find_box(files, key), 0, 0, what, mend, "other-serial")])
        return {"serial": f'"{serial}"'}

    return _change(files, key, change)


def revoke(files: Mapping[str, bytes], key: str) -> dict[str, str]:
    """path → text of the box's file by which the box is locked out."""
    return _change(files, key, lambda said: {"enrollment": _write(said.enrollment.generation, True)})


def replace(files: Mapping[str, bytes], key: str, serial: str | None = None) -> dict[str, str]:
    """path → text of the box's file by which the next hardware is let in, with this serial number (None: whichever is
    approved then)."""

    def change(said: BoxFile) -> Mapping[str, str]:
        counted = {"enrollment": _write(said.enrollment.generation + 1, False)}
        if serial:
            return {"serial": f'"{serial}"', **counted}
        return {**({"serial": "null"} if said.serial else {}), **counted}

    return _change(files, key, change)


def read_box(files: Mapping[str, bytes], key: str) -> BoxFile:
    """What a box's file says; FleetError where there is none or it cannot be used."""
    path = find_box(files, key)
    source = parse_source(path, files[path])
    if isinstance(source, Problem):
        raise FleetError([source])
    said, problems = build_model(source, BoxFile)
    if said is None:
        raise FleetError(problems)
    return said


def _write(generation: int, revoked: bool) -> str:
    said = Enrollment(generation=generation, revoked=revoked).model_dump(exclude_defaults=True)
    words = ", ".join(f"{key}: {str(value).lower()}" for key, value in said.items())
    return f"{{{words}}}"


def _change(files: Mapping[str, bytes], key: str, change: Change) -> dict[str, str]:
    path = find_box(files, key)
    text = files[path].decode("utf-8")
    for name, words in change(read_box(files, key)).items():
        text = _set(text, name, words)
    return {path: text}


def _set(text: str, key: str, words: str) -> str:
    """The text with key saying these words: in its place, or behind the `name` that every box has."""
    node = YAML().compose(text)
    assert isinstance(node, MappingNode)
    held = find_value(node, key)
    if held is not None:
        end = find_last_leaf(held).end_mark.index
        return f"{text[: held.start_mark.index]}{words}{text[end:]}"
    name = find_value(node, "name")
    assert name is not None
    if node.flow_style:
        place = name.end_mark.index
        return f"{text[:place]}, {key}: {words}{text[place:]}"
    line_end = "\r\n" if "\r\n" in text else "\n"
    place = find_line_end(text, find_last_leaf(name))
    gap = "" if text[:place].endswith("\n") else line_end
    return f"{text[:place]}{gap}{' ' * node.start_mark.column}{key}: {words}{line_end}{text[place:]}"
