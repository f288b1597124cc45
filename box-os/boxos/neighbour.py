"""What a neighbour of the box finds: nothing on the way to the Internet, and the page alone on the telephones' side."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from boxos.cables import BOX_LAN, BOX_WAN, BOX_WAN_LOCAL
from boxos.programs import run
from boxos.scan import find_answers

_PAGE = f"http://{BOX_LAN}/status.json"
_FETCH = f"import urllib.request as r; print(r.urlopen({_PAGE!r}, timeout=60).read().decode())"
PAGE_PORT = "80"


def look_from(namespace: str) -> dict[str, Any]:
    """Scans of every address from a namespace (cables.hold_beside), and what the page says of itself to programs."""
    inside = ["ip", "netns", "exec", namespace, sys.executable, "-I"]
    scanner = Path(__file__).with_name("scan.py")
    scans = {
        name: json.loads(run([*inside, scanner, address]))
        for name, address in (("wan", BOX_WAN), ("wan6", BOX_WAN_LOCAL), ("lan", BOX_LAN))
    }
    return {**scans, "page": json.loads(run([*inside, "-c", _FETCH]))}


def find_openings(seen: dict[str, Any]) -> list[str]:
    """What is wrong with what a neighbour saw.

    The page must have been found: a scan that finds nothing anywhere has not shown that it can find something.
    """
    wrongs = [*find_answers(seen["wan"]), *find_answers(seen["wan6"])]
    if seen["lan"]["tcp"] != {PAGE_PORT: "open"}:
        wrongs.append(f"on lan TCP has {seen['lan']['tcp'] or 'nothing'}, not port {PAGE_PORT} alone")
    if not seen["page"].get("code"):
        wrongs.append(f"the page says no code: {seen['page']}")
    return wrongs
