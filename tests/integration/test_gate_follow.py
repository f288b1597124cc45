"""The gate beside a box's Nebula: it waits for the box's configuration, and tells Nebula of each change of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ritilib.box.overlay import keep_overlay
from ritilib.devstack.processes import poll

WITHIN_S = 30.0
# says when it is there, counts SIGHUP, and ends with 7 by SIGTERM; a file `.slow` holds it up before all that
_PROGRAM = """\
import signal, sys, time
from pathlib import Path
Path(sys.argv[1] + ".begun").touch()
while Path(sys.argv[1] + ".slow").exists():
    time.sleep(0.05)
def note(*_):
    with Path(sys.argv[1]).open("a") as file:
        file.write("hup\\n")
signal.signal(signal.SIGHUP, note)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
Path(sys.argv[1]).write_text("up\\n")
while True:
    signal.pause()
"""


@pytest.fixture
def running(gate: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    options = ["--port", "0", "--follow", str(tmp_path / "overlay/overlay.yml")]
    argv = [gate, *options, "--", sys.executable, str(program), str(tmp_path / "said")]
    with subprocess.Popen(argv) as process:
        yield process
        process.kill()


def read(tmp_path: Path) -> list[str]:
    said = tmp_path / "said"
    return said.read_text().split() if said.exists() else []


def test_waits_for_the_files_and_tells_of_each_change(
    tmp_path: Path, running: subprocess.Popen[bytes]
) -> None:
    files = {"ca.crt": "ca", "host.crt": "1", "host.key": "key", "overlay.yml": "pki:\n"}
    keep_overlay(tmp_path / "overlay", {"host.key": "key"}, None)
    assert running.poll() is None and read(tmp_path) == []
    keep_overlay(tmp_path / "overlay", files, None)
    assert poll(lambda: read(tmp_path)[:1] == ["up"], WITHIN_S)
    for certificate in ("2", "3"):
        before = len(read(tmp_path))
        keep_overlay(tmp_path / "overlay", files | {"host.crt": certificate}, None)
        assert poll(lambda before=before: len(read(tmp_path)) > before, WITHIN_S)  # type: ignore[misc]
    running.send_signal(signal.SIGTERM)
    assert running.wait(WITHIN_S) == 1


def test_a_program_that_does_not_listen_yet_is_not_ended_and_told_once_more(
    tmp_path: Path, running: subprocess.Popen[bytes]
) -> None:
    files = {"ca.crt": "ca", "host.crt": "1", "host.key": "key", "overlay.yml": "pki:\n"}
    slow = tmp_path / "said.slow"
    slow.touch()
    keep_overlay(tmp_path / "overlay", files, None)
    assert poll((tmp_path / "said.begun").exists, WITHIN_S)
    keep_overlay(tmp_path / "overlay", files | {"host.crt": "2"}, None)
    # the signal has been sent by then: what is waited for is that the program lives on
    assert not poll(lambda: running.poll() is not None, 1.0)
    slow.unlink()
    assert poll(lambda: read(tmp_path)[:2] == ["up", "hup"], WITHIN_S)


def test_ends_while_it_waits(running: subprocess.Popen[bytes]) -> None:
    assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    assert running.wait(WITHIN_S) in (0, -signal.SIGTERM)
