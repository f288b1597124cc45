"""The processes beside a benchmark of enrollment: the controller's step, and the boxes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Self

from bench.lab.box_servers import BoxServers
from ritilib.clients.nebula import OverlayTool
from ritilib.errors import DevstackError

END_S = 60.0
LOOK_EVERY_S = 0.5  # at ten thousand bindings a look costs half a second itself


class Spoken(AbstractContextManager[Any]):
    """A process of ours that is told by lines what to do, and answers by lines of JSON; its errors go to ours."""

    def __init__(self, module: str, given: dict[str, Any]) -> None:
        argv = [sys.executable, "-m", module]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.say(json.dumps(given))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(END_S)

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Its next answer; DevstackError where it has ended."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            what = f"{self.process.args!r} ended without an answer"
            raise DevstackError.because(what, "see what it said")
        return dict(json.loads(line))


class Registrar(Spoken):
    """done counts what became of boxes, in words; troubles and problems are what it could not do."""

    def __init__(self, servers: BoxServers, boxes: int) -> None:
        tool = OverlayTool(servers.programs.nebula_cert)
        authority, leader = tool.make_authority("crowd", 24 * 3650), servers.make_leader()
        super().__init__(
            "bench.lab.registrar",
            {
                "consul": (leader.consul.address, leader.consul.token),
                "vault": (leader.vault.address, leader.vault.token),
                "boxes": boxes,
                "nebula_cert": str(tool.program),
                "crt": authority.crt,
                "key": authority.key,
            },
        )
        self.done: Counter[str] = Counter()
        self.problems: list[str] = []
        self.alarms = 0
        self.last: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """DevstackError where it ends before."""
        while not holds():
            if self.process.poll() is not None:
                raise DevstackError.because("the controller's step ended", "see what it said")
            time.sleep(LOOK_EVERY_S)

    def finish(self) -> dict[str, Any]:
        """End it: the requests that it sent, and its most memory."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(END_S)
        self._reader.join(END_S)
        return self.last

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            said = json.loads(line)
            self.done.update(said.get("done", {}))
            self.alarms += said.get("alarms", 0)
            self.problems += [*said.get("problems", ()), *filter(None, [said.get("trouble")])]
            self.last = said


class Crowds(AbstractContextManager[Any]):
    """Boxes in some processes, told all at once. gives are what each is given."""

    def __init__(self, gives: list[dict[str, Any]]) -> None:
        self._all = [Spoken("bench.lab.crowd", given) for given in gives]
        for one in self._all:
            one.hear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._all:
            one.__exit__()

    def do(self, line: str) -> dict[str, Any]:
        """What all answered, as one: lists joined, counts added, else the least."""
        for one in self._all:
            one.say(line)
        return merge_answers([one.hear() for one in self._all])


def merge_answers(answers: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name in answers[0]:
        found = [answer[name] for answer in answers]
        if isinstance(found[0], dict):
            merged[name] = sum((Counter(one) for one in found), Counter())
        elif isinstance(found[0], list):
            merged[name] = [item for one in found for item in one]
        else:
            merged[name] = min(found)
    return merged
