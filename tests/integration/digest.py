"""How a SIP client proves who it is: the answer to a box's challenge (RFC 2617, MD5, with qop)."""

from __future__ import annotations

import hashlib
import re

_COUNT, _OWN = "00000001", "0a0b0c0d"


def write_proof(challenge: str, method: str, uri: str, user: str, password: str) -> str:
    """The header line for a request that the box has answered with `challenge`, a 401 as it came over the wire."""
    said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    secret = _hash(user, said["realm"], password)
    response = _hash(secret, said["nonce"], _COUNT, _OWN, "auth", _hash(method, uri))
    opaque = f', opaque="{said["opaque"]}"' if "opaque" in said else ""
    return (
        f'Authorization: Digest username="{user}", realm="{said["realm"]}", nonce="{said["nonce"]}", '
        f'uri="{uri}", response="{response}", qop=auth, nc={_COUNT}, cnonce="{_OWN}"{opaque}\r\n'
    )


def _hash(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()
