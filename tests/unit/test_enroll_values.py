"""A claim, request and reply are read as they were written, and nothing else is read."""

from __future__ import annotations

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ritilib.enroll import jose
from ritilib.enroll.card import read_card
from ritilib.enroll.claim import (
    DAY_S,
    Claim,
    draft_claim,
    judge_claim,
    make_claim,
    read_claim,
    seal_claim,
    sign_claim,
)
from ritilib.enroll.overlay_key import write_pem
from ritilib.enroll.reply import Reply, read_reply
from ritilib.enroll.request import Request, proof_words, proves_device, read_request, sign_request
from ritilib.errors import EnrollError

NOW_S = 1_800_000_000
FLEET_ID = "7a1f4f0e-43b5-4f5e-9a51-0d6d1a3c2b10"
JTI = "j" * 22


def make_key() -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


PRIVATE, PUBLIC = make_key()
OTHER, OTHER_PUBLIC = make_key()


def make_csr(private: str, *names: str) -> str:
    key = serialization.load_pem_private_key(private.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def claim(**said: object) -> Claim:
    return make_claim("roja", FLEET_ID, "acme/salto", JTI, NOW_S, 30, 1).model_copy(update=said)


def request(**said: object) -> Request:
    made = Request(
        claim=sign_claim(claim(), OTHER),
        csr=make_csr(PRIVATE, "roja--acme--salto"),
        overlay_public=write_pem("PUBLIC", b"k" * 32),
        serial="10000000deadbeef",
        nonce="n" * 22,
        generation_next="g" * 22,
        image="riti-os 1",
        made_at="2027-01-15T08:00:00+00:00",
    )
    return made.model_copy(update=said)


def test_a_claim_is_read_by_its_key_only() -> None:
    text = sign_claim(claim(), PRIVATE)
    assert read_claim(text, [OTHER_PUBLIC, PUBLIC]) == claim()
    with pytest.raises(EnrollError):
        read_claim(text, [OTHER_PUBLIC])
    header, payload, signature = text.split(".")
    forged = jose.encode(claim(unit="roja--acme--rivera").encode())
    for wrong in (f"{header}.{forged}.{signature}", f"{header}.{payload}.", "", "a.b", text[:-8]):
        with pytest.raises(EnrollError):
            read_claim(wrong, [PUBLIC])
    none = jose.encode(b'{"alg":"none"}')
    with pytest.raises(EnrollError):
        read_claim(f"{none}.{payload}.", [PUBLIC])


def test_a_claim_signed_elsewhere_is_the_same() -> None:
    drafted = draft_claim(claim())
    payload = jose.peek(f"{drafted}.{jose.encode(b's' * 64)}")
    signed = jose.sign(payload, PRIVATE, {"typ": "JWT"})
    assert signed.rpartition(".")[0].split(".")[1] == drafted.split(".")[1]
    assert json.loads(jose.peek(seal_claim(drafted, "c2ln")))["unit"] == "roja--acme--salto"


@pytest.mark.parametrize(
    ("said", "now_s", "why"),
    [
        ({}, NOW_S, ""),
        ({}, NOW_S + 30 * DAY_S - 1, ""),
        ({}, NOW_S + 30 * DAY_S, "expired"),
        ({}, NOW_S - 1, "not good yet"),
        ({"aud": "riti:other"}, NOW_S, "another fleet"),
        ({"unit": "roja--acme--rivera"}, NOW_S, "another box"),
        ({"sub": "roja--acme--rivera"}, NOW_S, "another box"),
        ({"exp": NOW_S + 31 * DAY_S}, NOW_S, "more than 30 days"),
    ],
)
def test_a_claim_is_judged(said: dict[str, object], now_s: int, why: str) -> None:
    judged = judge_claim(claim(**said), "roja", FLEET_ID, "acme/salto", now_s)
    assert why in judged and bool(why) == bool(judged)


def test_a_request_is_read_as_it_was_signed() -> None:
    data = sign_request(request(), PRIVATE)
    found = read_request(data)
    assert found.request == request(csr=found.request.csr, claim=found.request.claim)
    assert (found.unit, found.data) == ("roja--acme--salto", data)
    assert found.public_key.strip() == PUBLIC.strip() and found.thumbprint == jose.find_thumbprint(PUBLIC)


@pytest.mark.parametrize(
    "said",
    [
        {"csr": make_csr(OTHER, "roja--acme--salto")},
        {"csr": make_csr(PRIVATE, "roja--acme--salto", "root")},
        {"csr": make_csr(PRIVATE)},
        {"csr": "no CSR"},
        {"overlay_public": write_pem("PRIVATE", b"k" * 32)},
        {"overlay_public": write_pem("PUBLIC", b"k" * 31)},
        {"overlay_public": "-----BEGIN PUBLIC KEY-----"},
        {"nonce": "short"},
        {"serial": "x" * 20_000},
    ],
)
def test_a_request_that_does_not_fit_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(EnrollError):
        read_request(sign_request(request(**said), PRIVATE))


def test_a_request_of_another_key_is_refused() -> None:
    with pytest.raises(EnrollError):
        read_request(sign_request(request(), OTHER))
    header, payload, signature = sign_request(request(), PRIVATE).decode().split(".")
    for wrong in (f"{header}.{payload}x.{signature}", f"{header}.{payload}", "", "\u00e9"):
        with pytest.raises(EnrollError):
            read_request(wrong.encode())
    with pytest.raises(EnrollError):  # a signature without the key that it is by
        read_request(jose.sign(request().encode(), PRIVATE, {}).encode())


def test_the_devices_own_key_stands_behind_one_request_only() -> None:
    thumbprint = jose.find_thumbprint(PUBLIC)
    proof = jose.sign(proof_words(thumbprint, "n" * 22), OTHER, {})
    signed = read_request(sign_request(request(otp_proof=proof), PRIVATE))
    assert proves_device(signed, OTHER_PUBLIC) and not proves_device(signed, PUBLIC)
    assert not proves_device(read_request(sign_request(request(), PRIVATE)), OTHER_PUBLIC)
    moved = read_request(sign_request(request(otp_proof=proof, nonce="m" * 22), PRIVATE))
    assert not proves_device(moved, OTHER_PUBLIC)


def test_a_reply_is_read_and_a_newer_one_too() -> None:
    reply = Reply(request="0" * 64, state="waiting", why="nobody has approved it yet")
    assert read_reply(reply.encode()) == reply
    newer = {**json.loads(reply.encode()), "more": 1}
    assert read_reply(json.dumps(newer).encode()) == reply
    with pytest.raises(EnrollError, match="state"):
        read_reply(b'{"request": "' + b"0" * 64 + b'", "state": "fine"}')


def test_a_card_speaks_of_one_box() -> None:
    join = {
        "fleet": "roja",
        "fleet_id": FLEET_ID,
        "unit": "acme/salto",
        "gateway": ["https://192.0.2.1:8443"],
        "ca": "PEM",
        "datacenter": "dc1",
    }
    held, said = read_card(json.dumps(join).encode(), sign_claim(claim(), PRIVATE) + "\n")
    assert held.names.box_role == "box-roja--acme--salto" and said == claim()
    for wrong in ({"unit": "acme/rivera"}, {"fleet_id": "other"}, {"gateway": ["http://192.0.2.1"]}):
        with pytest.raises(EnrollError):
            read_card(json.dumps(join | wrong).encode(), sign_claim(claim(), PRIVATE))
