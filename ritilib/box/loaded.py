"""What of a configuration Asterisk has really loaded: it says that all is well either way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

READY = "Asterisk Ready."
# the image's documentation is cut down on purpose; Asterisk has hundreds of lines to say about it
_EXPECTED = "XML documentation"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STAMP = re.compile(r"^\[[^\]]*\] ")
_THREAD = re.compile(r"\b(WARNING|ERROR)\[\d+\](\[C-[0-9a-f]+\])?: ")


def find_complaints(log: str) -> tuple[str, ...]:
    """Each line of a log with a WARNING or an ERROR, in order and once, without times and numbers of threads."""
    found: dict[str, None] = {}
    for line in log.splitlines():
        plain = _STAMP.sub("", _COLOUR.sub("", line))
        if ("WARNING" in plain or "ERROR" in plain) and _EXPECTED not in plain:
            found[_THREAD.sub(r"\1: ", plain)] = None
    return tuple(found)


def find_missing(files: Mapping[str, str], ask: Callable[[str], str]) -> tuple[str, ...]:
    """IAX2 peers and PJSIP endpoints that files (name → text) configure and that are not loaded, and channel drivers
    that do not run. ask is given a command of the console and returns its answer.
    """
    peers = re.findall(r"^\[([^\]]+)\]\([^)]*-secret[,)]", files.get("iax.conf", ""), re.MULTILINE)
    endpoints = re.findall(
        r"^\[([^\]]+)\](?:\(.*\))?\ntype=endpoint$", files.get("pjsip.conf", ""), re.MULTILINE
    )
    loaded = ask("iax2 show peers") if peers else ""
    missing = [peer for peer in peers if not _has_peer(peer, loaded, ask)]
    known = ask("pjsip show endpoints") if endpoints else ""
    missing += [one for one in endpoints if not re.search(rf"Endpoint: +{re.escape(one)}[/ ]", known)]
    drivers = ask("module show like chan_")
    return *missing, *re.findall(r"^(\S+)\.so .*Not Running", drivers, re.MULTILINE)


def _has_peer(peer: str, listing: str, ask: Callable[[str], str]) -> bool:
    """listing is what `iax2 show peers` says: the first 15 characters of each "name/username"."""
    if len(peer) < 15:
        return re.search(rf"^{re.escape(peer)}[/ ]", listing, re.MULTILINE) is not None
    return f" Name       : {peer}\n" in ask(f"iax2 show peer {peer}")
