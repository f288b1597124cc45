"""The own tests of our Go programs, which are in Go."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ritilib.assets import find_assets
from ritilib.devstack.images.programs import GATE, WATCHER

ENVIRONMENT = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}


@pytest.mark.parametrize("program", [GATE, WATCHER])
@pytest.mark.parametrize(
    "words", [("go", "vet", "./..."), ("go", "test", "-count=1", "./..."), ("gofmt", "-l", ".")]
)
def test_go_finds_nothing(program: str, words: tuple[str, ...]) -> None:
    assert shutil.which(words[0]), f"{words[0]} is missing: put Go 1.24 or newer on PATH"
    folder = find_assets("jobs") / program
    done = subprocess.run(words, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert words[0] != "gofmt" or done.stdout == ""
