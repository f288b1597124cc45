"""`riti sync` as the process that it is, looked at so often that its own seconds are what is measured."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from ritilib.devstack.controllers import SECRET, Instance, start_controller
from ritilib.devstack.demo.lab import Lab
from ritilib.errors import DevstackError

# a look at a PBX by Docker takes a tenth of a second of a processor: more of them would slow down what they look at
LOOK_EVERY_S = 0.1
END_S = 60.0
OPTIONS = ("--listen", "127.0.0.1:0", "--poll", "3600")  # only the hook is quick


class Controller(Instance):
    """One process; what it does not do, or ends before, is a DevstackError."""

    deadline_s: ClassVar[float] = 300.0

    def wait_for(self, event: str, **said: Any) -> None:
        """Until a line tells it."""
        self.wait_until(lambda: self.has_told(event, **said), f"`{event}` {said}")

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Until something holds; DevstackError where the process ends before, or it takes too long."""
        end = time.monotonic() + self.deadline_s
        while not holds():
            if self.process.poll() is not None or time.monotonic() > end:
                words = self.log.read_text()[-2000:]
                raise DevstackError.because(
                    f"`riti sync` did not come to {what}: {words}", "see what it says"
                )
            time.sleep(LOOK_EVERY_S)

    def read_peak_mb(self) -> float:
        """The most resident memory that it ever had, in MB (VmHWM; the kernel counts in KiB)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        assert found  # every process has it
        return int(found[1]) * 1024 / 1e6


@contextmanager
def hold_controller(lab: Lab) -> Iterator[Controller]:
    """The process while the context lasts, with a new mirror; it looks once an hour, so only the hook is quick."""
    with tempfile.TemporaryDirectory(prefix="riti-bench.") as folder:
        environ = {**lab.tokens, "RITI_HOOK_GITEA": SECRET}
        made = start_controller(Path(folder), "controller", str(lab.forge), environ, OPTIONS)
        controller = Controller(made.log, made.process)
        try:
            controller.wait_for("listening")
            yield controller
        finally:
            controller.process.terminate()
            try:
                controller.process.wait(END_S)
            except subprocess.TimeoutExpired:
                controller.end()
