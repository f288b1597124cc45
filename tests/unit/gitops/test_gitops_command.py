"""A Git that waits is left when it is told to, with all that it started."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ritilib.devstack.processes import poll
from ritilib.gitops.command import TIMED_OUT, ask_git

DEADLINE_S = 20.0


def test_it_is_left_and_what_it_started_is_gone(tmp_path: Path) -> None:
    ended, noted = threading.Event(), tmp_path / "pid"
    wait = f"alias.wait=!echo $$ > {noted}.new && mv {noted}.new {noted} && exec sleep 3600"

    def end() -> None:
        poll(noted.exists, DEADLINE_S)
        ended.set()

    teller = threading.Thread(target=end)
    teller.start()
    answer = ask_git(tmp_path, "-c", wait, "wait", timeout_s=3600.0, is_ended=ended.is_set)
    teller.join()
    pid = int(noted.read_text())
    assert answer.status not in (0, *TIMED_OUT)
    assert poll(lambda: not _is_alive(pid), DEADLINE_S)


def test_what_it_says_is_whole(tmp_path: Path) -> None:
    for is_ended in (None, lambda: False):
        answer = ask_git(tmp_path, "rev-parse", "--git-dir", is_ended=is_ended)
        assert (answer.status, answer.output) == (128, "")
        assert "not a git repository" in answer.errors
        answer = ask_git(tmp_path, "version", is_ended=is_ended, timeout_s=60.0)
        assert (answer.status, answer.errors) == (0, "") and answer.output.startswith("git version ")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
