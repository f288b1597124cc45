"""The JSON Schemas: they name and describe every key of the model, and every file finds its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ritilib.fleet.load import load_fleet
from ritilib.fleet.schema import KINDS, build_schema, name_schema, write_schema, write_schemas
from ritilib.fleet.source import Source, build_model, parse_source
from ritilib.gitops.layout import write_layout
from ritilib.gitops.worktree import read_fleet_files
from tests.unit.fleets import FLEET_ID, make_files
from tests.unit.test_cli import run

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples/fleet").rglob("*.yaml"))
GOLDEN = sorted((ROOT / "tests/golden").glob("*/fleet/**/*.yaml"))


def find_kind(path: Path) -> str:
    kinds = {"boxes": "box", "companies": "company", "fleet": "fleet"}
    return next(kinds[part] for part in reversed(path.parent.parts) if part in kinds)


def list_objects(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield schema["title"], schema
    yield from schema.get("$defs", {}).items()


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_has_a_title_and_a_description(kind: str) -> None:
    schema = build_schema(kind)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].endswith(kind)
    assert set(schema["properties"]) == set(KINDS[kind].model_fields)
    for name, described in list_objects(schema):
        for key, said in described.get("properties", {}).items():
            assert said.get("description"), f"{name}.{key} has no text below it in ritilib/fleet"
            assert said.get("title") or "$ref" in json.dumps(said), f"{name}.{key}"


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_key_is_seen_by_the_editor_at_each_level(kind: str) -> None:
    for name, described in list_objects(build_schema(kind)):
        if described.get("type") == "object":
            assert described["additionalProperties"] is False, name


def check(said: Any, schema: dict[str, Any], whole: dict[str, Any], place: str) -> None:
    """The part of JSON Schema in which completion lives: which keys there are, of which type, which must be."""
    if "$ref" in schema:
        return check(said, whole["$defs"][schema["$ref"].rpartition("/")[2]], whole, place)
    if "anyOf" in schema:
        return None
    types = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    assert isinstance(said, types[schema["type"]]), place
    if "pattern" in schema:
        assert re.search(schema["pattern"], said), place
    if isinstance(said, dict):
        assert set(schema.get("required", ())) <= said.keys(), place
        for key, value in said.items():
            patterns = schema.get("patternProperties", {})
            matching = [one for pattern, one in patterns.items() if re.search(pattern, key)]
            [described] = matching or [schema["properties"][key]]
            check(value, described, whole, f"{place}.{key}")
    elif isinstance(said, list):
        for index, value in enumerate(said):
            check(value, schema["items"], whole, f"{place}.{index}")
    return None


@pytest.mark.parametrize("path", [*EXAMPLES, *GOLDEN], ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_that_we_show_are_what_schema_and_model_say(path: Path) -> None:
    source = parse_source(path.name, path.read_bytes())
    assert isinstance(source, Source)
    kind = find_kind(path)
    schema = json.loads(write_schema(kind))
    check(json.loads(json.dumps(source.tree)), schema, schema, kind)
    said, problems = build_model(source, KINDS[kind])
    assert said is not None and not problems
    assert KINDS[kind].model_validate(said.model_dump(mode="json", by_alias=True)) == said


def test_each_file_finds_its_schema_in_a_new_repository(tmp_path: Path) -> None:
    write_layout(tmp_path, {"fleet": "lab", "fleet_id": FLEET_ID, "riti_version": "0"})
    for path in EXAMPLES:
        place = tmp_path / path.relative_to(ROOT / "examples")
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(path.read_bytes())
    files = list((tmp_path / "fleet").rglob("*.yaml"))
    assert len(files) == len(EXAMPLES) + 1
    for path in files:
        first = path.read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=")
        found = (path.parent / first.partition("=")[2]).resolve()
        assert found == (tmp_path / name_schema(find_kind(path.relative_to(tmp_path)))).resolve()
        assert json.loads(found.read_text())["title"]
    assert [one.rule for one in load_fleet(read_fleet_files(tmp_path)).warnings] == ["one-lighthouse"]


def test_schemas_are_no_part_of_the_fleet() -> None:
    files = make_files()
    schemas = {path: text.encode() for path, text in write_schemas().items()}
    assert load_fleet(files | schemas) == load_fleet(files)


def test_the_command_prints_one_and_writes_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "schema", "box") == 0
    assert capsys.readouterr().out == write_schema("box")
    assert run(monkeypatch, "schema") == 2
    capsys.readouterr()
    assert run(monkeypatch, "schema", "--out", str(tmp_path / "schema")) == 0
    for kind in KINDS:
        assert (tmp_path / f"schema/{kind}.json").read_text() == write_schema(kind)
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert run(monkeypatch, "schema", "--out", str(tmp_path / "schema")) == 0
    assert capsys.readouterr().err == ""
