"""A box's one value in Consul: its whole configuration but the secrets, as the controller writes it for the box."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping

from ritilib.render.names import CONFIG_FORMAT

_FOLDERS, _FILE = ("box/etc/", "box/adapter/"), "box/overlay.yml"


def choose_box_files(files: Mapping[str, str]) -> dict[str, str]:
    """Of a unit's rendered files those that the box itself has: path below its folder → text; {} for a lighthouse."""
    return {
        path.removeprefix("box/"): files[path] for path in files if path.startswith(_FOLDERS) or path == _FILE
    }


def hash_box_files(files: Mapping[str, str]) -> str:
    """The `sha256` of a value, by which a box knows whether it has all of it: over its files as canonical JSON."""
    return hashlib.sha256(_encode(files)).hexdigest()


def encode_box_value(files: Mapping[str, str], secrets_version: int, commit: str) -> bytes:
    """The value: JSON, gzipped: each Consul server would else have 10,000 boxes' files of 40 KB in its memory.

    secrets_version is that of the box's document in Vault; commit the one that made the files what they are.
    """
    value = {
        "format": CONFIG_FORMAT,
        "secrets_version": secrets_version,
        "sha256": hash_box_files(files),
        "commit": commit,
        "files": dict(files),
    }
    return gzip.compress(_encode(value), mtime=0)  # no clock: the same bytes for the same value


def _encode(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
