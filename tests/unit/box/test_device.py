"""The device's own key: asked of the firmware's tool as its manual says, and checked before it is sent."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from ritilib.box.device import prove_device
from ritilib.box.store import REQUEST, Store
from ritilib.enroll.claim import Claim, make_claim
from ritilib.enroll.request import proves_device, read_request
from ritilib.errors import EnrollError
from tests.unit.box.world import FLEET_ID, START, Card, World, make_card, make_joiner
from tests.unit.enroll.boxes import find_public, make_key

# signs as rpi-fw-crypto's README says that OpenSSL would: SHA-256 of the input, ECDSA on P-256, DER
PROGRAM = """#!{python}
import argparse
from pathlib import Path
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
words = argparse.ArgumentParser()
words.add_argument("command", choices=["sign"])
words.add_argument("--key-id", choices=["1"], required=True)
words.add_argument("--alg", choices=["ec"], required=True)
words.add_argument("--in", dest="source", type=Path, required=True)
words.add_argument("--out", type=Path, required=True)
said = words.parse_args()
key = serialization.load_pem_private_key(Path({key!r}).read_bytes(), None)
said.out.write_bytes(key.sign(said.source.read_bytes(), ec.ECDSA(hashes.SHA256())))
"""


def write_tool(folder: Path, key: str) -> str:
    """A program that stands for the firmware's, with this private key (PEM)."""
    folder.mkdir()
    (folder / "key.pem").write_text(key)
    tool = folder / "rpi-fw-crypto"
    tool.write_text(PROGRAM.format(python=sys.executable, key=str(folder / "key.pem")))
    tool.chmod(0o755)
    return str(tool)


def make_bound_card(key: str) -> Card:
    """A card for the device with this key alone."""
    card = make_card()
    moment = int(START.timestamp())
    claim: Claim = make_claim(
        "roja", FLEET_ID, "acme/salto", "jti-1-device-aaaaaaaa", moment, 30, 1, otp=find_public(key)
    )
    return Card(card.join, claim, card.claim_text, card.serial, card.image)


def test_the_device_stands_behind_its_request(tmp_path: Path) -> None:
    key = make_key()
    prove = partial(prove_device, tool=write_tool(tmp_path / "tool", key))
    joiner = make_joiner(World(), tmp_path / "data", make_bound_card(key), prove=prove)
    assert joiner.run(is_once=True).state == "in"
    signed = read_request(Store(tmp_path / "data").read(REQUEST).encode())
    assert proves_device(signed, find_public(key)) and not proves_device(signed, find_public(make_key()))


def test_another_device_cannot_use_the_card_and_says_why(tmp_path: Path) -> None:
    prove = partial(prove_device, tool=write_tool(tmp_path / "tool", make_key()))
    joiner = make_joiner(World(), tmp_path / "data", make_bound_card(make_key()), prove=prove)
    shown = joiner.run(is_once=True)
    assert (shown.state, "another key than this one's" in shown.why) == ("trouble", True)
    assert not Store(tmp_path / "data").read(REQUEST)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (None, "cannot be run: No such file"),
        ("#!/bin/sh\necho first >&2; echo no key is stored >&2; exit 3\n", "ended with 3: no key is stored"),
        ("#!/bin/sh\nexit 0\n", "gave no signature"),
        ('#!/bin/sh\nfor last; do :; done; echo nonsense > "$last"\n', "gave no signature"),
    ],
)
def test_a_device_without_a_key_says_so(tmp_path: Path, program: str | None, why: str) -> None:
    tool = tmp_path / "rpi-fw-crypto"
    if program:
        tool.write_text(program)
        tool.chmod(0o755)
    with pytest.raises(EnrollError, match=why) as caught:
        prove_device(find_public(make_key()), b"words", str(tool))
    assert "docs/enrollment.md" in caught.value.problems[0].mend
