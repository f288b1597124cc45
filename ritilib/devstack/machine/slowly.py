"""Programs that take a while, with a line of progress now and then."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ritilib.errors import DevstackError

REPORT_EVERY_S = 15.0
TAIL_LINES = 15


def run_slowly(
    argv: Sequence[str],
    what: str,
    log: Path,
    report: Callable[[str], None],
    folder: Path | None = None,
    extra: Mapping[str, str] | None = None,
    mend: str = "",
) -> None:
    """Run argv to its end in folder, with extra in its environment; its words go to log.

    what says what is being done ("building the gate"). DevstackError with the last lines of log where it
    fails.
    """
    started = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as lines:
        try:
            child = subprocess.Popen(
                list(argv),
                cwd=folder,
                env={**os.environ, **(extra or {})},
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=lines,
            )
        except OSError as error:
            raise DevstackError.because(
                f"{what}: {argv[0]} does not start: {error.strerror}", mend
            ) from error
        try:
            while True:
                try:
                    code = child.wait(REPORT_EVERY_S)
                    break
                except subprocess.TimeoutExpired:
                    report(f"  still {what}: {time.monotonic() - started:.0f} s")
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if code != 0:
        tail = "\n    ".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
        raise DevstackError.because(
            f"{what} failed ({Path(argv[0]).name} ended with {code}):\n    {tail}",
            f"{mend}; the whole log is {log}" if mend else f"the whole log is {log}",
        )
