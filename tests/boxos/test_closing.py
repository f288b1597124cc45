"""Asterisk ends before the machine restarts, or nothing is changed: told by its console, as Asterisk answers there.

That the real one does is shown by tests/integration/test_box_closing.py.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from onbox import closing

IDLE = {"manager": "up", "channels": 0}


class Console:
    """Asterisk's control socket. stop is what it does when it is told to stop gracefully: True where it ends."""

    def __init__(self, path: Path, stop: Callable[[], bool]) -> None:
        self.path, self.stop = path, stop
        self.heard: list[str] = []
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(path))
        self._listening.listen()
        self._kept: list[socket.socket] = []
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            command = connection.recv(4096).decode()
            self.heard.append(command.removeprefix("cli quit after ").removesuffix("\0"))
            with suppress(BrokenPipeError):  # who only wakes it does not wait for an answer
                connection.sendall(b"host/1234/22.0.0\n")
            if "stop gracefully" not in command:
                connection.close()
            elif self.stop():
                self.path.unlink()
                self._listening.close()
                connection.close()
                return
            else:
                self._kept.append(connection)  # it says nothing until its last call has ended

    def end(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as waking:
            if self.path.exists():
                self.stop = lambda: True
                waking.connect(str(self.path))
                waking.sendall(b"cli quit after core stop gracefully\0")
        self._thread.join()
        for one in self._kept:
            one.close()


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(
        prefix="riti-"
    ) as short:  # a socket's path has 107 characters at the most
        monkeypatch.setattr(closing, "CONSOLE", Path(short) / "ctl")
        monkeypatch.setattr(closing, "STATE", Path(short) / "watcher.json")
        monkeypatch.setattr(closing, "CLOSING_S", 0.2)
        yield Path(short)


def say(**words: object) -> None:
    closing.STATE.write_text(json.dumps(IDLE | words))


def test_asterisk_ends_where_it_has_no_call(folder: Path) -> None:
    say()
    console = Console(closing.CONSOLE, lambda: True)
    assert closing.end_gently() == "" and console.heard == ["core stop gracefully"]
    console.end()


def test_a_call_that_the_watcher_sees_is_not_even_asked_about(folder: Path) -> None:
    say(channels=2)
    console = Console(closing.CONSOLE, lambda: True)
    assert closing.end_gently() == "a call is up" and console.heard == []
    console.end()


def test_a_call_that_was_faster_goes_on_and_new_ones_are_taken_again(folder: Path) -> None:
    say()
    console = Console(closing.CONSOLE, lambda: False)
    assert closing.end_gently() == "a call came in that moment"
    assert console.heard == ["core stop gracefully", "core abort shutdown"]
    console.end()


def test_what_does_not_run_has_no_call(folder: Path) -> None:
    assert closing.end_gently() == ""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(closing.CONSOLE))  # what a killed Asterisk leaves behind
    assert closing.end_gently() == ""


@pytest.mark.parametrize("words", [{"manager": "down", "channels": 2}, {"channels": "2"}])
def test_a_word_that_says_nothing_leaves_it_to_asterisk(folder: Path, words: dict[str, object]) -> None:
    say(**words)
    console = Console(closing.CONSOLE, lambda: False)
    assert closing.end_gently() == "a call came in that moment"
    console.end()


def test_a_word_that_is_old_counts_no_calls(folder: Path) -> None:
    say(channels=2)
    assert closing.count_calls(json.loads(closing.STATE.read_text()), 0.0) == 2
    old_s = time.time() - closing.STALE_AFTER_S - 1
    os.utime(closing.STATE, (old_s, old_s))
    assert closing.end_gently() == ""
