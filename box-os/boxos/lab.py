"""A card and a claim for starts in QEMU, of a fleet that there is not: nobody answers, and the agent says so."""

from __future__ import annotations

import json
import os
import time
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from boxos.card import FILES, put_card
from boxos.layout import MEBIBYTE
from boxos.programs import run

_FLEET, _FLEET_ID, _UNIT = "lab", "00000000-0000-4000-8000-000000000001", "acme/salto"
_GATEWAY = "https://192.0.2.1:8443"  # of RFC 5737: no machine has it
_CARD = 256 * MEBIBYTE  # more than the image: what a real card has behind it


def make_claim(folder: Path, now_s: int) -> None:
    """What `riti box claim` writes, signed by nobody: only a server would look at that."""
    folder.mkdir(exist_ok=True)
    name = f"{_FLEET}--{_UNIT.replace('/', '--')}"
    claims: dict[str, Any] = {"iss": "riti", "aud": f"riti:{_FLEET_ID}", "sub": name, "unit": name}
    claims |= {"jti": "lab-" + "0" * 20, "iat": now_s, "nbf": now_s, "exp": now_s + 86_400, "generation": 1}
    parts = [{"alg": "ES256", "typ": "JWT"}, claims]
    text = ".".join(_encode(json.dumps(part).encode()) for part in parts)
    join = {
        "fleet": _FLEET,
        "fleet_id": _FLEET_ID,
        "unit": _UNIT,
        "gateway": [_GATEWAY],
        "ca": _make_authority(now_s),
    }
    (folder / FILES[0]).write_text(f"{text}.{_encode(bytes(64))}\n")
    (folder / FILES[1]).write_text(json.dumps(join) + "\n")


def make_card(image: Path, work: Path, claimed: Path | None) -> Path:
    """A card in folder work: the image on it, room behind, the claim in folder claimed or one of the laboratory's."""
    card = work / "card.img"
    run(["cp", "--sparse=always", image, card])
    if claimed is None:
        claimed = work / "claim"
        make_claim(claimed, int(time.time()))
    put_card(card, claimed)
    os.truncate(card, card.stat().st_size + _CARD)
    return card


def _make_authority(now_s: int) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "laboratory")])
    now = datetime.fromtimestamp(now_s, UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _encode(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
