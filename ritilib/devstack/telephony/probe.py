"""Asking from inside a container's network whether an Asterisk can be reached there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ritilib
from ritilib.devstack.processes import PATH
from ritilib.devstack.telephony.probe_frame import ANSWERED, SILENT
from ritilib.errors import DevstackError

_START_S = 30.0


@contextmanager
def lead_around(pid: int, address: str, via: str) -> Iterator[None]:
    """Meanwhile packets from the network namespace of pid to address go by way of via. Needs root."""
    route = [f"{address}/32", "via", via]
    _run_ip(pid, "add", *route)
    try:
        yield
    finally:
        _run_ip(pid, "del", *route)


def _run_ip(pid: int, verb: str, *route: str) -> None:
    argv = ["nsenter", f"--target={pid}", "--net", "--", "ip", "route", verb, *route]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise DevstackError.because(
            f"ip route {verb} {' '.join(route)}: {done.stderr.strip()}",
            "it needs root and a running container",
        )


def probe_iax(pid: int, address: str, timeout_s: float) -> bool:
    """Whether address:4569 answers an IAX2 POKE within timeout_s, asked from the network namespace of pid.

    Any Asterisk with chan_iax2 answers it, without an account, so silence means that no packet passes (or
    that none listens: ask once from where it must answer). Needs root; raises DevstackError where the
    question cannot be asked.
    """
    program = shutil.which("nsenter")
    if program is None:
        raise DevstackError.because("nsenter is missing", "apt-get install util-linux")
    argv = [
        program,
        f"--target={pid}",
        "--net",
        "--",
        sys.executable,
        "-m",
        "ritilib.devstack.telephony.probe_frame",
    ]
    environment = {"PATH": PATH, "LANG": "C.UTF-8", "PYTHONPATH": str(Path(ritilib.__file__).parent.parent)}
    try:
        done = subprocess.run(
            [*argv, address, str(timeout_s)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s + _START_S,
        )
    except subprocess.TimeoutExpired as error:
        raise DevstackError.because(
            f"the probe of {address} did not end", "see whether the machine is loaded"
        ) from error
    # a crashed interpreter ends with 1 too, but not in silence
    if done.returncode not in (ANSWERED, SILENT) or done.stderr:
        raise DevstackError.because(
            f"the probe of {address} failed: {done.stderr.strip()[-300:]}",
            "it needs root and a running container",
        )
    return done.returncode == ANSWERED
