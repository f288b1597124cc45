"""JSON Schema of each kind of file, exported from the model, so that editors complete and check while one types."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from ritilib.errors import Problem
from ritilib.fleet.box_file import BoxFile
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.fleet_file import FleetFile

SCHEMA_FOLDER = "fleet/schema/"
KINDS: Mapping[str, type[BaseModel]] = {"fleet": FleetFile, "company": CompanyFile, "box": BoxFile}


def build_schema(kind: str) -> dict[str, Any]:
    """The schema (draft 2020-12) of the files of one kind, "fleet", "company" or "box"."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:riti:schema:{kind}"}
    return head | KINDS[kind].model_json_schema()


@cache
def write_schema(kind: str) -> str:
    """The same as indented JSON text, a line feed at the end."""
    return json.dumps(build_schema(kind), indent=2, ensure_ascii=False) + "\n"


def write_schemas() -> dict[str, str]:
    """path in the repository → text of every schema."""
    return {name_schema(kind): write_schema(kind) for kind in KINDS}


def name_schema(kind: str) -> str:
    """The path of a schema in the repository."""
    return f"{SCHEMA_FOLDER}{kind}.json"


def write_modeline(path: str, kind: str) -> str:
    """The comment by which yaml-language-server (VS Code, Neovim, …) finds the schema of the file at path."""
    return (
        f"# yaml-language-server: $schema={posixpath.relpath(name_schema(kind), posixpath.dirname(path))}\n"
    )


def find_stale_schemas(files: Mapping[str, bytes]) -> Iterator[Problem]:
    """A warning for each schema among the fleet's files that another RITI wrote; one that is absent is not missed."""
    for kind in KINDS:
        path = name_schema(kind)
        if path in files and files[path] != write_schema(kind).encode():
            mend = "run `riti schema --out fleet/schema` and propose the result"
            what = "is not this RITI's schema: editors complete and check by another model"
            yield Problem(path, 0, 0, what, mend, "stale-schema", "warning")
