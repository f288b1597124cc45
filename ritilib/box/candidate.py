"""A configuration tried before it is put in force: the very Asterisk boots on it, aside.

It has a network of its own with nothing but loopback, in which the box's addresses are, so that the files are tried as
they stand and no telephone and no peer notices. Where none is granted (a container without rights), it gets free ports
of loopback instead, and the lines that name an address are changed for that. Its folders are its own either way.
"""

from __future__ import annotations

import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ritilib.box.aside import REFUSED, SHARED
from ritilib.box.console import ask_socket
from ritilib.box.loaded import READY, find_complaints, find_missing
from ritilib.errors import Problem, RitiError

# Measured on amd64: see docs/box-agent.md. A Pi under load is slower by far, and only what hangs is to be cut off.
BOUND_S = 120.0
END_S = 5.0
MOST_SHOWN = 10
MOST_SCRATCH = 60  # characters: with what comes below it, a socket's path (107, sys/un.h)
_ADDRESS = re.compile(r"^(bindaddr|bind)\s*=>?\s*([0-9.]+)(?::(\d+))?$", re.MULTILINE)
_PORT = re.compile(r"^bindport\s*=>?\s*\d+$", re.MULTILINE)
_ANY = "0.0.0.0"
_ROOT = Path("/")
# asterisk.conf: what a candidate has of its own, and the folder for it
_FOLDERS = {
    "astetcdir": "etc",
    "astdbdir": "lib",
    "astagidir": "lib",
    "astspooldir": "spool",
    "astrundir": "run",
    "astlogdir": "log",
}
_WRITTEN = re.compile(rf"^({'|'.join(_FOLDERS)})\s*=>?.*$", re.MULTILINE)
_READ = re.compile(r"^(ast\w+)\s*=>?\s*(/usr/.*)$", re.MULTILINE)
_INCLUDED = re.compile(r'^#tryinclude ".*"$', re.MULTILINE)


@dataclass(frozen=True)
class Program:
    """How Asterisk is started without its configuration; root is where what it reads of the system lies."""

    argv: tuple[str, ...]
    root: Path = _ROOT


@dataclass(frozen=True)
class Trial:
    """seconds until it was ready; complaints are all of its log; is_isolated: in a network of its own."""

    seconds: float
    complaints: tuple[str, ...]
    is_isolated: bool


def find_program(root: Path = _ROOT) -> Program:
    """Asterisk below root ("/" where it is the system's own), with its own loader and libraries.

    RitiError where there is none.
    """
    asterisk = root / "usr/sbin/asterisk"
    if not asterisk.is_file():
        raise RitiError.because(
            f"{asterisk} is not there", "name the folder that Asterisk lies in: --asterisk"
        )
    if root == _ROOT:
        return Program((str(asterisk),))
    # usr/lib64 has a link that is right inside root only
    loader = next(iter(sorted(root.glob("usr/lib/*/ld-linux*.so*"))), None)
    if loader is None:
        raise RitiError.because(f"{root} has no loader for Asterisk", "make the image anew")
    return Program((str(loader), "--library-path", str(loader.parent), str(asterisk)), root)


def check_scratch(scratch: Path) -> None:
    """RitiError where no candidate could have its console there: that is not the configuration's fault."""
    if len(str(scratch.absolute())) > MOST_SCRATCH:
        what = f"{scratch} is longer than {MOST_SCRATCH} characters"
        raise RitiError.because(what, "give a shorter one: --scratch")


def try_candidate(
    files: Mapping[str, str],
    program: Program,
    scratch: Path,
    usual: Collection[str] | None = None,
    bound_s: float = BOUND_S,
    isolate: bool = True,
) -> Trial:
    """Boot on files (name → text of the configuration folder) and end it again.

    scratch is a folder in memory, where all that it writes goes and which is emptied. usual are complaints that the
    running one has as well: any other is a reason to refuse; None where nothing runs, and then complaints are told and
    refuse nothing, since a telephone with a warning is better than none. isolate False: free ports of loopback.
    RitiError with every reason: it ended by itself, was not ready within bound_s, complains, or lacks peers.
    """
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="candidate-", dir=scratch))
    try:
        if isolate:
            trial = _boot(files, program, folder, bound_s, isolated=True)
            if trial is not None:
                return _judge(trial, usual)
            shutil.rmtree(folder)
            folder.mkdir(mode=0o700)
        trial = _boot(files, program, folder, bound_s, isolated=False)
        assert trial is not None
        return _judge(trial, usual)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def adapt_files(files: Mapping[str, str], folder: Path, root: Path) -> dict[str, str]:
    """The files with the folders of a candidate: what it writes goes below folder, what it reads lies below root."""
    text = _WRITTEN.sub(
        lambda match: f"{match[1]} => {folder / _FOLDERS[match[1]]}", files.get("asterisk.conf", "")
    )
    read = _READ.sub(lambda match: f"{match[1]} => {str(root).rstrip('/')}{match[2]}", text)
    # with the running one's secret the candidate would open the manager interface too
    manager = _INCLUDED.sub(f'#tryinclude "{folder}/none"', files.get("manager.conf", ""))
    return {**files, "asterisk.conf": read, "manager.conf": manager}


def list_addresses(files: Mapping[str, str]) -> tuple[str, ...]:
    """The IPv4 addresses that it wants to listen at, sorted."""
    found = {match[2] for text in files.values() for match in _ADDRESS.finditer(text)}
    return tuple(sorted(one for one in found if one != _ANY and not one.startswith("127.")))


def move_to_loopback(files: Mapping[str, str], find_port: Callable[[], int]) -> dict[str, str]:
    """The files with each address that is listened at on loopback, at a free port."""
    changed = {}
    for name, text in files.items():
        if name not in ("iax.conf", "pjsip.conf", "manager.conf"):
            changed[name] = text
            continue
        text = _ADDRESS.sub(
            lambda match: f"{match[1]}=127.0.0.1" + (f":{find_port()}" if match[3] else ""), text
        )
        changed[name] = _PORT.sub(lambda _: f"bindport={find_port()}", text)
    return changed


def find_free_port() -> int:
    """A UDP port of loopback that nobody has right now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _boot(
    files: Mapping[str, str], program: Program, folder: Path, bound_s: float, isolated: bool
) -> tuple[Trial, tuple[str, ...]] | None:
    """The trial and what it lacks; None where no network of its own is granted."""
    adapted = adapt_files(files, folder, program.root)
    if not isolated:
        adapted = move_to_loopback(adapted, find_free_port)
    for place in sorted(set(_FOLDERS.values())):
        (folder / place).mkdir(mode=0o700)
    for name, text in adapted.items():
        (folder / "etc" / name).write_text(text)
    argv = [*program.argv, "-f", "-C", f"{folder}/etc/asterisk.conf"]
    places = list_addresses(files) if isolated else (SHARED,)
    argv = [sys.executable, "-m", "ritilib.box.aside", *places, "--", *argv]
    return _run(argv, files, folder, bound_s, isolated)


def _run(
    argv: Sequence[str], files: Mapping[str, str], folder: Path, bound_s: float, isolated: bool
) -> tuple[Trial, tuple[str, ...]] | None:
    started_s = time.monotonic()
    environment = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "HOME": str(folder)}
    if "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    try:
        log, is_ready = _read_log(process, started_s + bound_s)
        seconds = time.monotonic() - started_s
        if not is_ready:
            if process.poll() == REFUSED and isolated:
                return None
            raise _not_ready(process, log, bound_s)
        control = folder / "run" / "asterisk.ctl"
        try:
            missing = find_missing(files, lambda command: ask_socket(control, command))
        except OSError as error:
            raise RitiError.because(
                f"the candidate's console did not answer: {error.strerror or error}", _MEND
            ) from error
        return Trial(seconds, find_complaints(log), isolated), missing
    finally:
        _end(process)


def _read_log(process: subprocess.Popen[bytes], end_s: float) -> tuple[str, bool]:
    """All that it said until it was ready, ended, or its time was over; and whether it is ready."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    received = b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        while (left_s := end_s - time.monotonic()) > 0:
            if not waiting.select(left_s):
                break
            part = process.stdout.read()
            if part == b"":
                with suppress(subprocess.TimeoutExpired):
                    process.wait(END_S)
                break
            received += part or b""
            if READY.encode() in received:
                return received.decode(errors="replace"), True
    return received.decode(errors="replace"), False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Our own child, by its own process group."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
    if process.stdout:
        process.stdout.close()


_MEND = "the configuration in force stays; mend the fleet's file that it was rendered from, or report this to RITI"


def _not_ready(process: subprocess.Popen[bytes], log: str, bound_s: float) -> RitiError:
    status = process.poll()
    what = f"was not ready within {bound_s:.0f} s" if status is None else f"ended by itself (status {status})"
    shown = find_complaints(log) or tuple(log.splitlines()[-3:])
    return _refuse([f"Asterisk {what} on this configuration", *shown])


def _judge(tried: tuple[Trial, tuple[str, ...]], usual: Collection[str] | None) -> Trial:
    trial, missing = tried
    reasons = [f"Asterisk did not load {name}" for name in missing]
    if usual is not None:
        reasons += [line for line in trial.complaints if line not in usual]
    if reasons:
        raise _refuse(reasons)
    return trial


def _refuse(reasons: Sequence[str]) -> RitiError:
    shown = [*reasons[:MOST_SHOWN]]
    if len(reasons) > MOST_SHOWN:
        shown.append(f"and {len(reasons) - MOST_SHOWN} more")
    return RitiError(Problem("", 0, 0, reason[:300], _MEND) for reason in shown)
