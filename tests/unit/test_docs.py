"""The console blocks of docs/: each command is run, in order, and prints exactly what stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
        env={"HOME": str(tmp_path), "LANG": "C.UTF-8", "PATH": path} | author,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split(f"{mark}\n")[:-1] == [printed for _, printed in transcript]


def test_a_page_with_commands_is_there() -> None:
    assert "calls.md" in list_pages()
