"""A fleet with its gateway on real servers, and boxes that are folders: what tests of a box's own end share.

Judged after each: one key is bound and no other ever was, and no token that a claim was given can do anything.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from ritilib.box.showing import Shown
from ritilib.box.store import IDENTITY_KEY, REQUEST
from ritilib.clients.vault_pki import Pki
from ritilib.devstack.processes import poll
from ritilib.enroll import jose
from ritilib.enroll.binding import Binding
from ritilib.enroll.card import CLAIM_FILE, JOIN_FILE
from ritilib.render.rules import EnrollmentRules
from tests.enroll.dying_box import run_box
from tests.enroll.gate import Authority, Gate, run_gate
from tests.enroll.offices import FLEET_ID, KEY
from tests.enroll.servers import Light
from tests.enroll.test_promises import RealOffice, open_office
from tests.unit.enroll.boxes import SERIAL

RENEWING = timedelta(days=12)  # certificates of 30 days are renewed at a third, with jitter
END_S = 60.0


class Site:
    """A fleet with its gateway; boxes are folders below `folder`."""

    def __init__(self, office: RealOffice, gate: Gate, authority: Authority, folder: Path) -> None:
        self.office, self.gate, self.folder = office, gate, folder
        self._authority = authority
        assert office.light
        self.light = office.light

    def expect(self, key: str, **said: Any) -> None:
        """Merge a box, whose document is there already, as where its PBX was made before."""
        self.office.wish[key] = EnrollmentRules(**{"serial": SERIAL, **said})
        self.office.commits += 1
        self.office.vault.write_document(self.office.name(key).box_document, {"iax": {}}, 0)

    def write_card(self, key: str = KEY, claim: str = "", **said: Any) -> Path:
        """What `riti box claim` writes; said is for the claim."""
        card = self.folder / f"card-{len(list(self.folder.glob('card-*')))}"
        card.mkdir()
        join = {
            "fleet": self.office.fleet,
            "fleet_id": FLEET_ID,
            "unit": key,
            "gateway": [self.gate.address],
            "ca": self._authority.pem,
        }
        (card / JOIN_FILE).write_text(json.dumps(join))
        self.keep_time()
        (card / CLAIM_FILE).write_text((claim or self.office.make_claim(key, **said)) + "\n")
        return card

    def keep_time(self) -> None:
        """Consul refuses claims of the future, where passes that were due later have taken the office to."""
        self.office.now = min(self.office.now, datetime.now(UTC))

    def run(self, name: str, card: Path, serial: str = SERIAL, **said: Any) -> Shown:
        return run_box(self.folder / name, card, serial, **said)

    @contextmanager
    def control(self) -> Iterator[None]:
        """The registry at work, pass after pass, until the context ends."""
        ended, failed = threading.Event(), list[BaseException]()

        def work() -> None:
            try:
                while not ended.wait(0.02):
                    step = self.office.step()
                    assert step.problems == (), step.problems
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        assert not failed, failed

    def thumbprint(self, name: str) -> str:
        return jose.find_thumbprint((self.folder / name / IDENTITY_KEY).read_text())

    def binding(self, key: str = KEY) -> Binding:
        found = self.office.read_binding(key)
        assert found is not None
        return found

    def list_used(self, key: str) -> list[dict[str, str]]:
        """To which keys this box's claims are bound."""
        found = self.office.consul.read_tree(f"riti/{self.office.fleet}/enrolled-jti/").entries
        used = [json.loads(one.value) for one in found]
        return [one for one in used if one["unit"] == key]

    def list_claim_tokens(self) -> list[dict[str, Any]]:
        """Tokens that a claim was given and that can do anything yet."""
        consul = self.light.settings.consul
        answer = requests.get(
            f"{consul.address}/v1/acl/tokens",
            params={"authmethod": self.office.names.claim_method},
            headers={"X-Consul-Token": consul.token},
            timeout=END_S,
        )
        assert answer.status_code == 200
        return [one for one in answer.json() if one.get("Roles") or one.get("Policies")]

    def list_claim_tokens_of(self, key: str) -> list[dict[str, Any]]:
        role = self.office.name(key).enroll_role
        held = self.list_claim_tokens()
        return [one for one in held if any(link["Name"] == role for link in one.get("Roles") or ())]

    def reads(self, place: str, name: str) -> bool:
        """Whether the request of the box in that folder lies there."""
        held, own = self.office.consul.read(place), self.folder / name / REQUEST
        return held is not None and own.exists() and held.value == own.read_bytes()

    def judge_bound(self, name: str, key: str = KEY) -> None:
        """This box is bound, no other ever was, and nobody can ask by its claim any more."""
        self.office.settle_later()
        binding = self.binding(key)
        assert (binding.state, binding.thumbprint) == ("bound", self.thumbprint(name)), binding
        assert [one["thumbprint"] for one in self.list_used(key)] == [binding.thumbprint]
        assert not binding.open
        assert not self.list_claim_tokens_of(key)

    def judge_locked(self, key: str = KEY) -> None:
        """Nobody is in, and nobody can ask."""
        self.office.settle_later()
        assert self.binding(key).state == "conflict" and not self.binding(key).open
        assert not self.list_claim_tokens_of(key)


@contextmanager
def hold_site(light: Light, folder: Path) -> Iterator[Site]:
    """One fleet whose tests have a box of their own each."""
    office = open_office(light, f"t{uuid.uuid4().hex[:10]}", folder)
    office.wish.clear()
    servers = Authority(folder)
    certificate = servers.sign(office.now - timedelta(days=9), office.now + timedelta(days=60))
    root = Pki(office.vault, office.names.pki_mount).read_root()
    with run_gate(certificate, light.settings.consul.address, light.vault_gate, root) as gate:
        yield Site(office, gate, servers, folder)


def wait_for(holds: Callable[[], bool]) -> None:
    """Until it is so; an error where it never is."""
    assert poll(holds, END_S)
