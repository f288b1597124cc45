"""The box's Asterisk takes no new call and ends, or nothing is changed: what must be so before the machine restarts.

As a PBX is closed before it is replaced: it refuses what comes, is seen at zero, and ends; where a call was faster,
that is undone. In Asterisk both are one command, which this says to its own console, as the watcher does.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onbox import machine

CONSOLE = Path("/run/asterisk/asterisk.ctl")
STATE = Path("/run/asterisk/watcher.json")
STALE_AFTER_S = 15.0  # as the watcher's own readers count
CLOSING_S = 8.0
_TIMEOUT_S = 5.0


def count_calls(said: Mapping[str, Any], age_s: float) -> int:
    """Channels that the watcher sees, 0 where it says nothing: then Asterisk itself knows, or there is none."""
    channels = said.get("channels")
    is_known = age_s <= STALE_AFTER_S and said.get("manager") == "up" and isinstance(channels, int)
    return int(channels or 0) if is_known else 0


def end_gently() -> str:
    """Why it goes on, in words; "" where no Asterisk runs any more.

    It is not started anew before half a second, and the machine is on its way down by then.
    """
    if count_calls(machine.read_json(STATE), _find_age_s(STATE)):
        return "a call is up"
    try:
        asking = _say("core stop gracefully")
    except (FileNotFoundError, ConnectionRefusedError):
        return ""  # it does not run, so it has no call
    except OSError as error:
        return f"Asterisk's console cannot be asked: {error}"
    with asking:
        if not _has_ended(asking, CLOSING_S):
            try:
                with _say("core abort shutdown") as undoing:
                    _has_ended(undoing, _TIMEOUT_S)
            except OSError as error:
                return f"Asterisk takes no new call, and is not told otherwise: {error}"
            return "a call came in that moment"
    try:
        with _say("core show uptime"):
            return "Asterisk does not end"
    except OSError:
        return ""


def _say(command: str) -> socket.socket:
    """A connection on which Asterisk answers a command; it closes it when it has."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_TIMEOUT_S)
        connection.connect(str(CONSOLE))
        connection.sendall(f"cli quit after {command}\0".encode())
    except OSError:
        connection.close()
        raise
    return connection


def _has_ended(connection: socket.socket, within_s: float) -> bool:
    """Whether the other side closed the connection in time."""
    end_s = time.monotonic() + within_s
    try:
        while (left_s := end_s - time.monotonic()) > 0:
            connection.settimeout(left_s)
            if not connection.recv(4096):
                return True
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def _find_age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")
