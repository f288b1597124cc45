"""What a stack's tasks leave without a container is found, and ended, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ritilib.devstack.processes import poll
from ritilib.devstack.servers.nomad import end_tasks, list_tasks

DEADLINE_S = 30.0
# neither signal by which Nomad asks ends it
STUBBORN = """\
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
signal.pause()
"""

DATA = "nomad/data"


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def start(running: ExitStack, folder: Path, *words: str) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-c", STUBBORN, *words]
    process = running.enter_context(subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE))
    running.callback(process.kill)
    assert process.stdout and process.stdout.readline()
    return process


def test_tasks_of_this_stack_end_and_nobody_elses(running: ExitStack, tmp_path: Path) -> None:
    state, other = tmp_path / "stack", tmp_path / "stack-too"
    place = "nomad/data/alloc/0b80fa69/pbx"
    ours = start(running, state / place)
    others = [start(running, other / place), start(running, state / "nomad/data"), start(running, tmp_path)]
    assert list_tasks(state / DATA) == [ours.pid]
    end_tasks(state / DATA)
    assert poll(lambda: ours.poll() is not None, DEADLINE_S)
    assert list_tasks(state / DATA) == []
    assert [one.poll() for one in others] == [None] * 3


def test_what_its_folder_is_gone_of_is_a_task_all_the_same(running: ExitStack, tmp_path: Path) -> None:
    folder = tmp_path / "nomad/data/alloc/0b80fa69/overlay"
    process = start(running, folder)
    folder.rmdir()
    assert list_tasks(tmp_path / DATA) == [process.pid]
    end_tasks(tmp_path / DATA)
    assert poll(lambda: process.poll() is not None, DEADLINE_S)


def test_nomads_executor_is_known_by_its_log(running: ExitStack, tmp_path: Path) -> None:
    said = f'{{"LogFile":"{tmp_path}/nomad/data/alloc/0b80fa69/pbx/executor.out"}}'
    (tmp_path / "executor").write_text("read -r\n")
    argv = ["bash", "executor", said]
    process = running.enter_context(subprocess.Popen(argv, cwd=tmp_path, stdin=subprocess.PIPE))
    running.callback(process.kill)
    assert poll(lambda: list_tasks(tmp_path / DATA) == [process.pid], DEADLINE_S)
    end_tasks(tmp_path / DATA)
    assert poll(lambda: process.poll() is not None, DEADLINE_S)
