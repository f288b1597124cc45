"""What the box's agent may ask of root: one version, out of one folder. Read as if somebody had broken into the agent.

The bundle is signed, and RAUC refuses what another key signed, another board's and what is older; so whoever writes a
wish gets no more out of it than a version that its makers meant for this board.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_BYTES = 20_000
_VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){2}([-+~][A-Za-z0-9.]{1,40})?")
_BUNDLES = re.compile(
    r"https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*", re.ASCII
)
_CA = re.compile(r"(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]+\n)+-----END CERTIFICATE-----\n*)+")
_IMAGE = re.compile(r"[a-z0-9-]{1,60}")  # as boxos.recipe names them: riti-box-BOARD


class NoWish(Exception):
    """What lies there is no wish; its text says why."""


@dataclass(frozen=True)
class Wish:
    """Install this version, out of this folder; ca vouches for an https server ("": nobody is asked by https)."""

    version: str
    bundles: str
    ca: str = ""

    def name_bundle(self, image: str) -> str:
        """Where the bundle for this image ("riti-box-pi4") is. NoWish where the image has no such name."""
        if not _IMAGE.fullmatch(image):
            raise NoWish("this image does not say which board it is for")
        return f"{self.bundles}/{image}-{self.version}.raucb"


def read_wish(text: str) -> Wish:
    """NoWish with the first thing that is wrong with it."""
    try:
        said = json.loads(text)
    except ValueError:
        raise NoWish("it is no JSON") from None
    if not isinstance(said, dict) or set(said) - {"version", "bundles", "ca"}:
        raise NoWish("it is no mapping of `version`, `bundles` and `ca`")
    found = Wish(*(_take(said, key) for key in ("version", "bundles", "ca")))
    for pattern, value, key in ((_VERSION, found.version, "version"), (_BUNDLES, found.bundles, "bundles")):
        if not pattern.fullmatch(value) or len(value) > 300:
            raise NoWish(f"its `{key}` has not the form asked for")
    if found.ca and not _CA.fullmatch(found.ca):
        raise NoWish("its `ca` is no certificate")
    if found.bundles.startswith("https:") and not found.ca:
        raise NoWish("https without `ca`: the image knows no public authorities")
    return found


def take_file(path: Path) -> str:
    """The file's text, and the file is gone, so that what asked for it asks once. NoWish where it is no plain file: the
    folder is another user's, who could have put a link there."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NoWish("there is none") from None
    except OSError as error:
        path.unlink(missing_ok=True)
        raise NoWish(f"it cannot be read: {error.strerror}") from None
    with os.fdopen(handle, "rb") as stream:
        is_file = stat.S_ISREG(os.fstat(handle).st_mode)
        data = stream.read(MOST_BYTES + 1) if is_file else b""
    path.unlink(missing_ok=True)
    if not is_file or len(data) > MOST_BYTES:
        raise NoWish("it is no plain file of a wish's length")
    return data.decode("utf-8", "replace")


def _take(said: Mapping[str, Any], key: str) -> str:
    value = said.get(key, "")
    if not isinstance(value, str):
        raise NoWish(f"its `{key}` is no text")
    return value
