"""The servers of one fleet and its controller, in memory, as a box meets them; any request of them may go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ritilib.box.clock import Clock, find_window
from ritilib.box.device import prove_device
from ritilib.box.join import Card, Joiner, Prove
from ritilib.box.servers import Value
from ritilib.box.showing import Shown
from ritilib.box.store import IDENTITY_CRT, Store
from ritilib.enroll.card import Join
from ritilib.enroll.claim import Claim, make_claim, sign_claim
from ritilib.enroll.reply import Reply
from ritilib.enroll.request import SignedRequest, read_request
from ritilib.errors import Denied, EnrollError, Unreachable
from ritilib.render.names import UnitNames

START = datetime(2027, 1, 15, 8, tzinfo=UTC)
NAMES = UnitNames("roja", "acme", "salto")
FLEET_ID = "7a1f4f0e-43b5-4f5e-9a51-0d6d1a3c2b10"
MOST_WAITS = 500  # of one run: more are no way in
LIFE = timedelta(days=30)
Done = TypeVar("Done")
Fault = Callable[[str], None]  # called before and after each request, with its name; may raise


def keep_well(what: str) -> None:
    """No fault at all."""


def make_pem() -> tuple[ec.EllipticCurvePrivateKey, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    nothing = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, nothing)
    return key, pem.decode()


ROOT, ROOT_PEM = make_pem()


@dataclass
class World:
    """One box's keys in Consul; bound is every key that was ever bound, in order."""

    now: datetime = START
    fault: Fault = keep_well
    is_approved: bool = True
    has_document: bool = True
    is_open: bool = True  # whether a claim still gets a token
    kv: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    index: int = 1
    bound: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    made: int = 0
    waiting: str = ""
    is_locked: bool = False
    asked: list[str] = field(default_factory=list)
    requests: set[bytes] = field(default_factory=set)

    def write(self, key: str, data: bytes) -> None:
        self.index += 1
        self.kv[key] = (self.index, data)

    def decide(self) -> None:
        """What the controller does with the request that is there; the same request has the same answer."""
        held = self.kv.get(NAMES.enroll_request)
        if held is None:
            return
        try:
            signed = read_request(held[1])
        except EnrollError:
            del self.kv[NAMES.enroll_request]
            return
        reply = self._reply(signed).encode()
        if self.kv.get(NAMES.enroll_reply, (0, b""))[1] != reply:
            self.write(NAMES.enroll_reply, reply)
        if b'"waiting"' not in reply:
            del self.kv[NAMES.enroll_request]

    def _reply(self, signed: SignedRequest) -> Reply:
        before = self.kv.get(NAMES.enroll_reply)
        if before and json.loads(before[1])["request"] == signed.digest and b'"bound"' in before[1]:
            return Reply.model_validate_json(before[1])
        if signed.request.claim is None:
            is_copy = self.kv[NAMES.box_generation][1].decode() != signed.request.generation_next
            self.is_locked = self.is_locked or is_copy
        first = self.bound[-1] if self.bound else self.waiting
        self.is_locked = self.is_locked or first not in ("", signed.thumbprint)
        self.waiting = self.waiting or signed.thumbprint
        if self.is_locked:
            return Reply(request=signed.digest, state="conflict", why="two have asked")
        if not self.is_approved:
            return Reply(request=signed.digest, state="waiting", why="nobody has approved it")
        if not self.bound:
            self.bound.append(signed.thumbprint)
        crt = self.sign(signed)
        return Reply(request=signed.digest, state="bound", identity=crt, overlay_crt="crt", overlay_ca="ca")

    def sign(self, signed: SignedRequest) -> str:
        csr = x509.load_pem_x509_csr(signed.request.csr.encode())
        made = (
            x509.CertificateBuilder()
            .subject_name(csr.subject)
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")]))
            .public_key(csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now)
            .not_valid_after(self.now + LIFE)
            .sign(ROOT, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM).decode()


class WorldServers:
    """As GatewayServers. A fault before a request is one that was not done; one after it is a lost answer."""

    def __init__(self, world: World) -> None:
        self._world = world

    def use_certificate(self, certificate: Path, key: Path) -> None:
        assert "BEGIN CERTIFICATE" in certificate.read_text() and "PRIVATE KEY" in key.read_text()

    def login_by_claim(self, claim: str) -> str:
        return self._do("login_by_claim", lambda: self._issue("claim", self._world.is_open))

    def login_by_certificate(self) -> str:
        return self._do("login_by_certificate", lambda: self._issue("vault", bool(self._world.bound)))

    def take_jwt(self, vault_token: str) -> str:
        return self._do("take_jwt", lambda: self._issue("jwt", vault_token in self._world.tokens))

    def login_by_jwt(self, jwt: str) -> str:
        return self._do("login_by_jwt", lambda: self._issue("box", jwt in self._world.tokens))

    def read(self, token: str, key: str) -> Value:
        return self._do(f"read {key}", lambda: self._read(token, key))

    def watch(self, token: str, key: str, moved: int) -> Value:
        def wait() -> Value:
            if self._world.kv.get(key, (0, b""))[0] <= moved:
                self._world.decide()
            return self._read(token, key)

        return self._do(f"watch {key}", wait)

    def put(self, token: str, key: str, data: bytes, index: int | None = None) -> bool:
        def write() -> bool:
            self._know(token)
            if index is not None and self._world.kv.get(key, (0, b""))[0] != index:
                return False
            if key == NAMES.enroll_request:
                self._world.requests.add(data)
            if key == NAMES.box_generation:
                self._world.is_open = False  # the controller deletes the claim's role
            self._world.write(key, data)
            return True

        return self._do(f"put {key}", write)

    def has_document(self, vault_token: str) -> bool:
        return self._do("has_document", lambda: self._know(vault_token) or self._world.has_document)

    def end_consul(self, token: str) -> None:
        self._do("end_consul", lambda: self._world.tokens.discard(token))

    def end_vault(self, vault_token: str) -> None:
        self._do("end_vault", lambda: self._world.tokens.discard(vault_token))

    def _do(self, what: str, act: Callable[[], Done]) -> Done:
        self._world.fault(what)
        self._world.asked.append(what)
        done = act()
        self._world.fault(what)
        return done

    def _issue(self, kind: str, is_let: bool) -> str:
        if not is_let:
            raise Denied.because("denied", "")
        self._world.made += 1
        token = f"{kind}-{self._world.made}"
        self._world.tokens.add(token)
        return token

    def _know(self, token: str) -> bool:
        if token not in self._world.tokens:
            raise Denied.because("denied", "")
        return False

    def _read(self, token: str, key: str) -> Value:
        self._know(token)
        index, data = self._world.kv.get(key, (0, b""))
        return Value(index, self._world.index, data)


def make_card(now: datetime = START, generation: int = 1, serial: str = "10000000deadbeef") -> Card:
    jti = f"jti-{generation}-{int(now.timestamp())}-aaaaaa"
    claim: Claim = make_claim("roja", FLEET_ID, "acme/salto", jti, int(now.timestamp()), 30, generation)
    join = Join(fleet="roja", fleet_id=FLEET_ID, unit="acme/salto", gateway=["https://192.0.2.1"], ca="PEM")
    return Card(join, claim, sign_claim(claim, ROOT_PEM), serial, "riti-os 1")


def make_joiner(
    world: World,
    data: Path,
    card: Card,
    show: Callable[[Shown], None] = lambda shown: None,
    prove: Prove = prove_device,
) -> Joiner:
    """A box that has just been switched on; its waits take no time and end in a cut where they do not end."""
    store = Store(data)
    clock = Clock(find_window(card.claim, store.read(IDENTITY_CRT)), lambda: world.now.timestamp())
    waits = iter(range(MOST_WAITS))
    return Joiner(
        store, WorldServers(world), card, clock, show, lambda pause_s: wait(waits), lambda: 0.5, prove=prove
    )


def wait(waits: Iterator[int]) -> None:
    """No time passes; a box that waits for ever is an error."""
    assert next(waits, None) is not None, "it waits for ever"


def lose(is_lost: Callable[[int], bool]) -> Fault:
    """A fault that loses the moments (before or after a request, from 0 on) of which it is_lost."""
    counted = count()

    def strike(what: str) -> None:
        if is_lost(next(counted)):
            raise Unreachable.because(f"lost: {what}", "")

    return strike
