"""Changes of the fleet's files, text to text: what is not changed stays byte for byte, comments and spaces too.

New words are spliced in at the places that ruamel.yaml gives its nodes; writing the parsed file out again would keep
comments, but not everybody's spaces and line breaks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from textwrap import dedent, indent
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ritilib.errors import FleetError, Problem
from ritilib.fleet.schema import write_modeline
from ritilib.fleet.source import parse_source

_WIDEST = 4096  # no word is folded
_COMPANIES = "fleet/companies/"
FLEET_FILE = "fleet/fleet.yaml"


@dataclass(frozen=True)
class NewExtension:
    """What a person asks for; judged with the whole fleet, not here. phone None: the model's own choice."""

    number: str
    name: str
    phone: str | None = None
    public: str | None = None

    def say(self) -> dict[str, str]:
        """Its keys and values, in the order in which people write them; numbers are quoted, or YAML reads numbers."""
        said = {"number": DoubleQuotedScalarString(self.number), "name": self.name}
        if self.phone:
            said["phone"] = self.phone
        if self.public:
            said["public"] = DoubleQuotedScalarString(self.public)
        return said


def name_box(key: str) -> str:
    """The file of the box "acme/salto"; FleetError where it is not a company and a box."""
    company, _, box = key.partition("/")
    if not company or not box or "/" in box:
        what, mend = f"`{key}` names no box", "write company and box, such as acme/salto"
        raise FleetError([Problem("", 0, 0, what, mend, "box-name")])
    return f"fleet/boxes/{company}/{box}.yaml"


def add_box(
    files: Mapping[str, bytes], key: str, name: str, serial: str | None, extensions: Iterable[NewExtension]
) -> dict[str, str]:
    """path → text of the new box's file; FleetError where it exists already."""
    path = name_box(key)
    if path in files:
        mend = "change it, or add a telephone to it with `riti extension add`"
        raise FleetError([Problem(path, 0, 0, "exists already", mend, "box-exists")])
    said: dict[str, Any] = {"name": name}
    if serial:
        said["serial"] = DoubleQuotedScalarString(serial)
    said["extensions"] = [extension.say() for extension in extensions]
    return {path: write_modeline(path, "box") + _dump(said)}


def add_extension(files: Mapping[str, bytes], key: str, extension: NewExtension) -> dict[str, str]:
    """path → text of the box's file with one more extension after its others.

    Raises FleetError where there is no such box, or where its file holds no list of extensions.
    """
    path = find_box(files, key)
    source = parse_source(path, files[path])
    if isinstance(source, Problem):
        raise FleetError([source])
    text = files[path].decode("utf-8")
    listed = find_value(YAML().compose(text), "extensions")
    if not isinstance(listed, SequenceNode) or not listed.value:
        what, mend = "`extensions` is no list that could have one more", "mend the file: riti validate"
        raise FleetError([source.problem(("extensions",), what, mend, "wrong-type")])
    return {path: _append(text, listed, extension.say())}


def remove_box(files: Mapping[str, bytes], key: str) -> dict[str, None]:
    """path → None for the box's file; FleetError where there is no such box.

    Its claims stay: an address is never given back, since the PBX that had it may still run (claims.py).
    """
    return {find_box(files, key): None}


def find_box(files: Mapping[str, bytes], key: str) -> str:
    """The path of the box "acme/salto" among files; FleetError where there is none."""
    path = name_box(key)
    if path not in files:
        mend = "name one of fleet/boxes/, or add it with `riti box add`"
        raise FleetError([Problem(path, 0, 0, "is not there", mend, "missing-file")])
    return path


def rotate_secrets(files: Mapping[str, bytes], companies: Collection[str] = ()) -> dict[str, str]:
    """path → text of each company's file with `secrets` counted up by one; without companies, of all.

    Raises FleetError where there is no such company, or where its file cannot say it.
    """
    known = [path for path in sorted(files) if path.startswith(_COMPANIES) and path.endswith(".yaml")]
    asked = [f"{_COMPANIES}{company}.yaml" for company in companies] or known
    mend = "name one of fleet/companies/"
    if problems := [
        Problem(path, 0, 0, "is not there", mend, "missing-file") for path in asked if path not in known
    ]:
        raise FleetError(problems)
    return {path: _count_up(path, files[path]) for path in asked}


def rotate_authority(files: Mapping[str, bytes], at_once: bool = False) -> dict[str, str]:
    """path → text of fleet.yaml with `overlay_authority.generation` counted up by one.

    at_once: it says so beside it, and else it says so no longer. Raises FleetError where the file cannot say it.
    """
    source = parse_source(FLEET_FILE, files.get(FLEET_FILE, b""))
    if isinstance(source, Problem):
        raise FleetError([source])
    text = files[FLEET_FILE].decode("utf-8")
    node = YAML().compose(text)
    said, overlay = find_value(node, "overlay_authority"), find_value(node, "overlay")
    number = find_value(said, "generation")
    is_number = number is None or (isinstance(number, ScalarNode) and number.value.isdecimal())
    if overlay is None or node.flow_style or (said and not isinstance(said, MappingNode)) or not is_number:
        what = "`overlay_authority` is nothing that could be one more"
        mend = "write `overlay_authority: {generation: 2}` into it: riti validate"
        raise FleetError([source.problem(("overlay_authority",), what, mend, "wrong-type")])
    generation = int(number.value) + 1 if isinstance(number, ScalarNode) else 2
    wished = f"{{generation: {generation}{', at_once: true' if at_once else ''}}}"
    if said:
        start, end = said.start_mark.index, find_last_leaf(said).end_mark.index
        return {FLEET_FILE: f"{text[:start]}{wished}{text[end:]}"}
    line_end = "\r\n" if "\r\n" in text else "\n"
    place = find_line_end(text, find_last_leaf(overlay))
    gap = "" if text[:place].endswith("\n") else line_end
    line = f"{' ' * node.start_mark.column}overlay_authority: {wished}{line_end}"
    return {FLEET_FILE: f"{text[:place]}{gap}{line}{text[place:]}"}


def _count_up(path: str, content: bytes) -> str:
    source = parse_source(path, content)
    if isinstance(source, Problem):
        raise FleetError([source])
    text = content.decode("utf-8")
    node = YAML().compose(text)
    if said := find_value(node, "secrets"):
        if not isinstance(said, ScalarNode) or not said.value.isdecimal():
            what, mend = "`secrets` is no number that could be one more", "mend the file: riti validate"
            raise FleetError([source.problem(("secrets",), what, mend, "wrong-type")])
        start, end = said.start_mark.index, said.end_mark.index
        return f"{text[:start]}{int(said.value) + 1}{text[end:]}"
    name = find_value(node, "name")
    if name is None:
        what, mend = "`name` is missing, behind which `secrets` would stand", "mend the file: riti validate"
        raise FleetError([source.problem((), what, mend, "missing-key")])
    if node.flow_style:
        place = name.end_mark.index
        return f"{text[:place]}, secrets: 2{text[place:]}"
    line_end = "\r\n" if "\r\n" in text else "\n"
    place = find_line_end(text, find_last_leaf(name))
    gap = "" if text[:place].endswith("\n") else line_end
    return f"{text[:place]}{gap}{' ' * node.start_mark.column}secrets: 2{line_end}{text[place:]}"


def _append(text: str, listed: SequenceNode, said: Mapping[str, str]) -> str:
    last = listed.value[-1]
    if listed.flow_style:
        place = last.end_mark.index
        return f"{text[:place]}, {_dump(said, flow=True)}{text[place:]}"
    line_end = "\r\n" if "\r\n" in text else "\n"
    place = find_line_end(text, find_last_leaf(last))
    item = indent(dedent(_dump([said])), " " * listed.start_mark.column)
    gap = "" if text[:place].endswith("\n") else line_end
    return text[:place] + gap + item.replace("\n", line_end) + text[place:]


def find_value(node: Node | None, key: str) -> Node | None:
    """What stands under a key of a mapping."""
    if isinstance(node, MappingNode):
        return next((value for one, value in node.value if one.value == key), None)
    return None


def find_last_leaf(node: Node) -> Node:
    """The last node below that ends where its words end: a block's own end is the beginning of what follows it."""
    if not isinstance(node, CollectionNode) or node.flow_style or not node.value:
        return node
    last = node.value[-1]
    return find_last_leaf(last[1] if isinstance(last, tuple) else last)


def find_line_end(text: str, leaf: Node) -> int:
    """The index after the line on which the leaf ends, with the comment behind it."""
    place: int = leaf.end_mark.index
    if isinstance(leaf, ScalarNode) and leaf.style in ("|", ">"):
        # It ends at the next word; its own last line is the last one before that is neither empty nor a comment.
        place = leaf.start_mark.index + len(text[leaf.start_mark.index : place].rstrip())
    found = text.find("\n", place)
    return len(text) if found < 0 else found + 1


def _dump(said: Any, flow: bool = False) -> str:
    yaml = YAML()
    yaml.width = _WIDEST
    yaml.allow_unicode = True
    yaml.default_flow_style = flow
    yaml.indent(mapping=2, sequence=4, offset=2)
    beside = StringIO()
    yaml.dump(said, beside)
    return beside.getvalue().rstrip("\n") if flow else beside.getvalue()
