"""What the watcher's start does before there is any Asterisk."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ritilib.assets import find_assets
from ritilib.devstack.images.programs import FLAGS, WATCHER

LARGEST_BYTES = 3_000_000
FOLDER = find_assets("jobs") / WATCHER
ENVIRONMENT = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}


def run_go(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=FOLDER, env=ENVIRONMENT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def watcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("watcher") / "watcher"
    done = run_go("go", "build", *FLAGS, "-o", str(program), ".")
    assert done.returncode == 0, done.stderr
    return program


def test_is_small_and_needs_no_library(watcher: Path) -> None:
    assert watcher.stat().st_size <= LARGEST_BYTES
    assert "require" not in (FOLDER / "go.mod").read_text()


def start(watcher: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([watcher, "start", *words], capture_output=True, text=True, check=False)


def test_waits_for_the_address_and_gives_up_with_one_line(watcher: Path) -> None:
    done = start(
        watcher, "--address", "100.80.0.4", "--interface", "lo", "--timeout", "50ms", "--", "/bin/echo", "up"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "watcher: 100.80.0.4 has not come up on lo within 50ms: see the overlay's log"
    ]


def test_becomes_the_program_also_where_nothing_can_be_watched(watcher: Path, tmp_path: Path) -> None:
    secret = tmp_path / "absent" / "secret"
    done = start(
        watcher,
        "--secret",
        str(secret),
        "--address",
        "127.0.0.1",
        "--interface",
        "lo",
        "--",
        "/bin/echo",
        "up",
    )
    assert (done.returncode, done.stdout) == (0, "up\n")
    assert "nothing is watched" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["wait"],
        ["watch", "--patience", "50ms"],
        ["watch", "--config", "/etc/passwd"],
        ["watch", "--serve", "0.0.0.0:80"],
        ["start", "--address", "nowhere"],
    ],
)
def test_refuses_what_it_does_not_know(watcher: Path, words: list[str]) -> None:
    done = subprocess.run([watcher, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
