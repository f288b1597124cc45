"""The overlay's folder on the box: Nebula's configuration with the block list in it, key and certificates beside it.

Whoever runs Nebula there (jobs/pbx/gate, --follow) sends it SIGHUP when a file of this folder has changed: certificate
and block list are then taken over without a break of the tunnels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter

from ritilib.box.durable import make_folder, write_durable
from ritilib.box.kept import Trust
from ritilib.errors import GitopsError, Problem

CONFIGURATION = "overlay.yml"
_PKI = re.compile(r"^pki:\n", re.MULTILINE)
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_CERTIFICATE = "-----BEGIN NEBULA CERTIFICATE"  # of either version
_MEND = "the controller writes the list anew: see its log"


def understand_blocked(value: bytes) -> tuple[str, ...]:
    """The overlay's block list as it lies in Consul: fingerprints of certificates.

    GitopsError where it is none: the list that is in force stays.
    """
    try:
        said = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        what = f"the block list is no JSON, or only the beginning of it ({len(value)} bytes)"
        raise GitopsError([Problem("", 0, 0, what, _MEND)]) from error
    if not isinstance(said, list) or not all(
        isinstance(one, str) and _FINGERPRINT.fullmatch(one) for one in said
    ):
        raise GitopsError([Problem("", 0, 0, "the block list has what is no fingerprint", _MEND)])
    return tuple(sorted(set(said)))


def understand_trust(document: Mapping[str, Any]) -> Trust | None:
    """What the box's document says of the overlay's authorities; None where it says nothing, as where there never was
    but one. GitopsError where it cannot be understood: what is trusted stays."""
    if "overlay" not in document:
        return None
    try:
        said = _TRUST.validate_python(document["overlay"])
        if said.renew_from:
            datetime.fromisoformat(said.renew_from)
    except ValueError as error:
        what = "the overlay's authorities in its document cannot be understood"
        raise GitopsError([Problem("", 0, 0, what, _MEND)]) from error
    if _CERTIFICATE not in said.ca:
        raise GitopsError([Problem("", 0, 0, "its document names no authority of the overlay", _MEND)])
    return said


def choose_authorities(ca: str, edition: int, trust: Trust) -> tuple[str, int]:
    """The PEM of the authorities to trust, and its edition: the newer of what the reply (ca, edition) and the document
    say."""
    return (trust.ca, trust.edition) if trust.edition > edition else (ca, edition)


def write_blocked(overlay: str, blocked: Sequence[str]) -> str:
    """overlay.yml with the block list. GitopsError where it has not one `pki:`."""
    if len(_PKI.findall(overlay)) != 1:
        what = "has no `pki:`, so that nobody could be blocked"
        raise GitopsError([Problem(CONFIGURATION, 0, 0, what, "render the fleet anew")])
    if not blocked:
        return overlay
    # JSON is YAML, and a fingerprint of digits alone stays a text
    return _PKI.sub(lambda pki: f"{pki[0]}  blocklist: {json.dumps(list(blocked))}\n", overlay)


def keep_overlay(folder: Path, files: Mapping[str, str], group: int | None) -> tuple[str, ...]:
    """Have the folder hold these files (name → text); the names of those that were written, in order.

    The configuration comes last, so that Nebula, which waits for it, finds the others. group is who runs Nebula.
    OSError where the disk does not take it.
    """
    make_folder(folder, 0o750, group)
    written = []
    for name in sorted(files, key=lambda one: (one == CONFIGURATION, one)):
        if _read(folder / name) != files[name]:
            write_durable(folder / name, files[name], 0o640, group)
            written.append(name)
    return tuple(written)


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except (FileNotFoundError, ValueError):
        return None


_TRUST = TypeAdapter(Trust)
