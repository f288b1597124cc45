"""What looks random in an image, derived from its lock: the same lock gives the same."""

from __future__ import annotations

import hashlib
import uuid


def derive_uuid(seed: str, name: str) -> str:
    """A UUID (version 8: own derivation) of seed and name, in lower case."""
    digest = bytearray(_digest(seed, name)[:16])
    digest[6] = (digest[6] & 0x0F) | 0x80
    digest[8] = (digest[8] & 0x3F) | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))


def derive_salt(seed: str, name: str) -> str:
    """64 hex digits: the salt of a dm-verity tree."""
    return _digest(seed, name).hex()


def derive_volume_id(seed: str, name: str) -> str:
    """8 hex digits: a FAT file system's number."""
    return _digest(seed, name)[:4].hex()


def _digest(seed: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()
