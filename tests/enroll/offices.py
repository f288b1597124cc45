"""A fleet whose boxes enroll: commits, the controller's registry, and boxes that do what `riti join` does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ritilib.clients.protocols import ConsulClient, VaultClient
from ritilib.clients.vault_signing import SigningKey
from ritilib.enroll.binding import Binding, read_binding
from ritilib.enroll.claim import draft_claim, make_claim, seal_claim
from ritilib.enroll.reply import Reply, read_reply
from ritilib.gitops.company import Unit
from ritilib.gitops.desired import Desired
from ritilib.render.names import EnrollmentNames, UnitNames
from ritilib.render.rules import EnrollmentRules
from ritilib.sync.enroll.registry import Registry, Step
from ritilib.sync.unit.apply import Servers
from tests.unit.enroll.boxes import SERIAL, Pi

FLEET_ID = "6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11"
KEY = "acme/salto"


@dataclass
class Office:
    """One fleet with its registry. wish is what is merged of each box; the clients are management's."""

    fleet: str
    servers: Sequence[Servers]
    consul: ConsulClient
    vault: VaultClient
    wish: dict[str, EnrollmentRules] = field(default_factory=lambda: {KEY: EnrollmentRules(serial=SERIAL)})
    commits: int = 0
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.names = EnrollmentNames(self.fleet)
        self.registry = self.make_registry()

    def make_registry(self) -> Registry:
        """Another leader's, which knows nothing of the one before."""
        self.registry = Registry(self.servers, self.fleet, FLEET_ID, lambda: self.now)
        return self.registry

    def name(self, key: str = KEY) -> UnitNames:
        return UnitNames(self.fleet, *key.split("/"))

    def merge(self, key: str = KEY, **said: object) -> None:
        """A commit that says this of a box, and all else as before."""
        held = self.wish.get(key, EnrollmentRules())
        self.wish[key] = held.model_copy(update=said)
        self.commits += 1

    def read_desired(self) -> Desired:
        units = tuple(self._make_unit(key) for key in sorted(self.wish))
        return Desired(self.fleet, FLEET_ID, "root", f"commit {self.commits}", units, ())

    def step(self) -> Step:
        return self.registry.step(self.read_desired())

    def settle(self) -> list[str]:
        """Pass after pass until one finds nothing to do; what people were told."""
        said: list[str] = []
        for _ in range(10):
            step = self.step()
            assert step.problems == (), step.problems
            if not step.done:
                return said
            said += [f"{one.key} {one.what}" for one in step.done]
        raise AssertionError(f"it goes on for ever: {said}")

    def make_claim(
        self, key: str = KEY, generation: int = 1, serial: str | None = None, days: int = 30
    ) -> str:
        """What `riti box claim` writes onto a card."""
        jti = Pi().advanced
        claim = make_claim(
            self.fleet, FLEET_ID, key, jti, int(self.now.timestamp()), days, generation, serial
        )
        draft = draft_claim(claim)
        return seal_claim(draft, SigningKey(self.vault, self.names.claim_key).sign(draft))

    def make_box(self, key: str = KEY, **said: str) -> Pi:
        return Pi(unit=self.name(key).job_id, **said)

    def put_request(self, request: bytes, key: str = KEY) -> None:
        """As a box does, by whichever right."""
        held = self.consul.read(self.name(key).enroll_request)
        self.consul.write(self.name(key).enroll_request, request, held.modify_index if held else 0)

    def read_reply(self, key: str = KEY) -> Reply | None:
        held = self.consul.read(self.name(key).enroll_reply)
        return read_reply(held.value) if held and held.value else None

    def read_binding(self, key: str = KEY) -> Binding | None:
        held = self.consul.read(self.names.binding(key))
        return read_binding(held.value) if held else None

    def read_blocked(self) -> list[str]:
        held = self.consul.read(self.names.blocked)
        return list(json.loads(held.value)) if held else []

    def advance(self, box: Pi, key: str = KEY) -> None:
        """The box puts its value, as it does by its own token when it is in, and before each renewal."""
        self.consul.put(self.name(key).box_generation, box.advanced.encode())

    def enroll(self, box: Pi, card: str, key: str = KEY) -> bytes:
        """A box all the way in; the request that it made."""
        self.settle()
        request = box.ask(card)
        self.put_request(request, key)
        self.settle()
        self.advance(box, key)
        self.settle_later()
        return request

    def settle_later(self) -> list[str]:
        """The same when what is looked at from time to time is due."""
        self.now = replace_seconds(self.now, 61)
        return self.settle()

    def _make_unit(self, key: str) -> Unit:
        overlay = {"name": f"box.{key}", "network": "100.80.0.9/16", "groups": [key.split("/")[0]]}
        files = {"box/secrets.json": json.dumps({"overlay": overlay})}
        return replace(Unit(key, "pbx", files), enrollment=self.wish[key], awaits_box=True)


def replace_seconds(now: datetime, seconds: float) -> datetime:
    """So many seconds later."""
    return datetime.fromtimestamp(now.timestamp() + seconds, UTC)
