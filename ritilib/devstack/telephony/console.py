"""The console of a containerised Asterisk, asked through its own socket: some 3 ms, where `docker exec` takes 80.

The socket is reached through /proc/<pid>/root, so that no program need be started in the container. The words are
those of `asterisk -rx` (main/asterisk.c, ast_remotecontrol): a line of greeting, the answer, the end of the stream.
"""

from __future__ import annotations

import socket

from ritilib.errors import DevstackError

SOCKET = "var/run/asterisk/asterisk.ctl"
TIMEOUT_S = 10.0


def ask_console(pid: int, *commands: str, timeout_s: float = TIMEOUT_S) -> str:
    """What the Asterisk with this pid (the host's) answers to the commands, one after the other.

    Needs root. Raises DevstackError where no console answers within timeout_s.
    """
    words = "cli quit after " + "\0".join(commands) + "\0"
    received = b""
    try:
        with socket.socket(socket.AF_UNIX) as console:
            console.settimeout(timeout_s)
            console.connect(f"/proc/{pid}/root/{SOCKET}")
            console.sendall(words.encode())
            while part := console.recv(65536):
                received += part
    except OSError as error:
        raise DevstackError.because(
            f"the console of process {pid} did not answer to `{commands[0]}`: {error}", "see its log"
        ) from error
    return received.decode(errors="replace").partition("\n")[2].replace("\0", "")
