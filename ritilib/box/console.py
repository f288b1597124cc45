"""The console of an Asterisk, asked through its own socket; its words are those of `asterisk -rx`.

A line of greeting, the answer, the end of the stream (main/asterisk.c, ast_remotecontrol).
"""

from __future__ import annotations

import socket
from pathlib import Path

TIMEOUT_S = 10.0


def ask_socket(path: Path, *commands: str, timeout_s: float = TIMEOUT_S) -> str:
    """What it answers to the commands, one after the other; OSError where nobody answers in time."""
    words = "cli quit after " + "\0".join(commands) + "\0"
    received = b""
    with socket.socket(socket.AF_UNIX) as console:
        console.settimeout(timeout_s)
        console.connect(str(path))
        console.sendall(words.encode())
        while part := console.recv(65536):
            received += part
    return received.decode(errors="replace").partition("\n")[2].replace("\0", "")
