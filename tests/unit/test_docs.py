"""The console blocks of docs/: each command is run, in order, and prints exactly what stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from ritilib.fleet.box_file import BoxFile
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.fleet_file import FleetFile

DOCS = Path(__file__).parents[2] / "docs"


def read_transcript(page: Path) -> list[tuple[str, str]]:
    """(command, what it prints) of a page's console blocks; lines that start with > belong to the command."""
    transcript: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                transcript.append((line.removeprefix("$ "), ""))
            else:
                command, printed = transcript.pop()
                if line.startswith("> "):
                    command += "\n" + line.removeprefix("> ")
                else:
                    printed += line + "\n"
                transcript.append((command, printed))
    return transcript


def list_pages() -> list[str]:
    return [page.name for page in sorted(DOCS.glob("*.md")) if read_transcript(page)]


@pytest.mark.parametrize("page", list_pages())
def test_the_commands_print_what_the_page_says(page: str, tmp_path: Path) -> None:
    transcript = read_transcript(DOCS / page)
    mark = "---- the next command"
    script = "set -eu\n" + "\n".join(f"{command}\necho '{mark}'" for command, _ in transcript)
    people = ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL")
    author = {f"GIT_{who}": "ana@example.org" for who in people}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "LANG": "C.UTF-8", "PATH": path, "PYTHONPATH": str(DOCS.parent)} | author,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split(f"{mark}\n")[:-1] == [printed for _, printed in transcript]


def test_a_page_with_commands_is_there() -> None:
    assert {"calls.md", "fleet.md"} <= set(list_pages())


def list_keys(model: type[BaseModel]) -> set[str]:
    """Every key of a kind of file, those of what stands in it too."""
    found = set()
    for name, field in model.model_fields.items():
        found.add(field.alias or name)
        for inner in find_models(field.annotation):
            found |= list_keys(inner)
    return found


def find_models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in find_models(part)]


@pytest.mark.parametrize("model", [FleetFile, CompanyFile, BoxFile])
def test_every_key_is_explained(model: type[BaseModel]) -> None:
    prose = re.sub(r"```.*?```", "", (DOCS / "fleet.md").read_text(), flags=re.DOTALL)
    said = set(re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`]+)`", prose))))
    assert list_keys(model) - said == set()
