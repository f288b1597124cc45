"""Programs that outlive the command that starts them, and are ended only if they are still the same."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ritilib.errors import DevstackError, RitiError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POLL_S = 0.05
LOG_LINES_SHOWN = 15


class Process(BaseModel):
    """A program that we started. started is boot and clock ticks: a reused pid is never taken for it."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: str


def start_process(argv: Sequence[str], log: Path, extra: Mapping[str, str] | None = None) -> Process:
    """Start argv in its own session, with a minimal environment, its output appended to log (0600).

    Minimal, because a variable of the caller's shell (a proxy, a CA bundle) must not change what a server
    does: Nomad's cloud fingerprinters do not even start with AWS_CA_BUNDLE set.
    """
    environment = {"PATH": PATH, "HOME": str(log.parent), "LANG": "C.UTF-8", **(extra or {})}
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        argv[0],
        list(argv),
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return identify(pid)


def identify(pid: int) -> Process:
    """The process that has this pid now; ProcessLookupError where none has."""
    stat = _read_stat(pid)
    if stat is None:
        raise ProcessLookupError(pid)
    return Process(pid=pid, started=f"{_read_boot()}:{stat[19]}")


def is_running(process: Process | None) -> bool:
    """Whether that very process still runs (a zombie does not)."""
    if process is None:
        return False
    with suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)  # when we are its parent, nobody else reaps it
    stat = _read_stat(process.pid)
    return stat is not None and stat[0] != "Z" and process.started == f"{_read_boot()}:{stat[19]}"


def end_process(process: Process | None, grace_s: float) -> None:
    """Ask it to end, wait grace_s, then force it; then whatever is left of its session (Nomad's loggers)."""
    if process is None:
        return
    if is_running(process):
        os.kill(process.pid, signal.SIGTERM)
        if not poll(lambda: not is_running(process), grace_s):
            os.kill(process.pid, signal.SIGKILL)
            poll(lambda: not is_running(process), grace_s)
    if process.started.startswith(_read_boot()):
        end_session(process.pid, grace_s)


def end_session(session: int, grace_s: float) -> None:
    """End every process of the session; its number stays taken as long as it has members."""
    leader = _read_stat(session)
    if leader is not None and leader[0] != "Z":
        return  # the leader lives, or its number has gone to somebody else: none of ours
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for pid in _list_session(session):
            with suppress(ProcessLookupError):
                os.kill(pid, sign)
        if poll(lambda: not _list_session(session), grace_s):
            return


def wait_until(
    holds: Callable[[], bool],
    deadline_s: float,
    what: str,
    log: Path,
    process: Process | None = None,
) -> None:
    """Return when holds() is true.

    DevstackError, with the last lines of log, when deadline_s have passed or process has ended before.
    """
    end = time.monotonic() + deadline_s
    while not holds():
        if process is not None and not is_running(process):
            raise _failed(f"{what}: the program ended by itself", log)
        if time.monotonic() > end:
            raise _failed(f"{what}: not so after {deadline_s:.0f} s", log)
        time.sleep(POLL_S)


def _failed(what: str, log: Path) -> RitiError:
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:] if log.exists() else []
    shown = "".join(f"\n    {line[:300]}" for line in lines)
    return DevstackError.because(f"{what}{shown}", f"the whole log is {log}")


def poll(holds: Callable[[], bool], deadline_s: float) -> bool:
    """Whether holds() came true within deadline_s; it returns as soon as it does."""
    end = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def _list_session(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = _read_stat(int(entry.name))
            if stat is not None and stat[0] != "Z" and int(stat[3]) == session:
                found.append(int(entry.name))
    return found


def _read_stat(pid: int) -> list[str] | None:
    """/proc/PID/stat from its third field (the state) on; None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _read_boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
