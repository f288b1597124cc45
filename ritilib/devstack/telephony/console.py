"""The console of a containerised Asterisk, asked through its own socket: some 3 ms, where `docker exec` takes 80.

The socket is reached through /proc/<pid>/root, so that no program need be started in the container.
"""

from __future__ import annotations

from pathlib import Path

from ritilib.box.console import TIMEOUT_S, ask_socket
from ritilib.errors import DevstackError

SOCKET = "var/run/asterisk/asterisk.ctl"


def ask_console(pid: int, *commands: str, timeout_s: float = TIMEOUT_S) -> str:
    """What the Asterisk with this pid (the host's) answers to the commands, one after the other.

    Needs root. Raises DevstackError where no console answers within timeout_s.
    """
    try:
        return ask_socket(Path(f"/proc/{pid}/root/{SOCKET}"), *commands, timeout_s=timeout_s)
    except OSError as error:
        raise DevstackError.because(
            f"the console of process {pid} did not answer to `{commands[0]}`: {error}", "see its log"
        ) from error
