"""A box's own end of enrollment on real servers: through a gateway by TLS, against the controller's registry.

Judged after each: one key is bound and no other ever was, and no token that a claim was given can do anything.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from ritilib.box.showing import Shown
from ritilib.box.store import IDENTITY_CRT, IDENTITY_KEY, OVERLAY_CRT, OVERLAY_KEY, REQUEST, STATUS, Store
from ritilib.clients.consul import Consul
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.vault import KV_MOUNT, TRANSIT_MOUNT, Vault
from ritilib.clients.vault_pki import Pki
from ritilib.devstack.processes import poll
from ritilib.enroll import jose
from ritilib.enroll.binding import Binding
from ritilib.enroll.card import CLAIM_FILE, JOIN_FILE
from ritilib.errors import RitiError
from ritilib.render.upkeep import EnrollmentRules
from ritilib.sync.enroll.prepare import prepare_enrollment
from tests.enroll.dying_box import run_box, run_dying
from tests.enroll.gate import Authority, Gate, run_gate
from tests.enroll.offices import FLEET_ID, KEY
from tests.enroll.servers import Light
from tests.enroll.test_promises import CREW, RealOffice, make_leader, make_servers
from tests.unit.enroll.boxes import SERIAL

YEARS = timedelta(days=3650)
RENEWING = timedelta(days=12)
END_S = 60.0
MOST_MOMENTS, LEAST_MOMENTS = 100, 25  # of a whole run: fsyncs and requests


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


@pytest.fixture(scope="module")
def site(light: Light, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One fleet for all tests of this file; each has a box of its own."""
    fleet, folder = f"t{uuid.uuid4().hex[:10]}", tmp_path_factory.mktemp("site")
    consul, vault = Consul(light.settings), Vault(light.settings)
    vault.enable_kv(KV_MOUNT)
    vault.enable_transit(TRANSIT_MOUNT)
    prepare_enrollment(consul, vault, fleet, FLEET_ID, lambda words: None)
    tool = OverlayTool(light.nebula_cert)
    authority = tool.make_authority(fleet, 24 * 365 * 10)
    leader = make_leader(light, fleet)
    crew = [make_servers(leader, tool, authority) for _ in range(CREW)]
    office = RealOffice(fleet, crew, consul, vault, light=light, folder=folder)
    office.wish.clear()
    servers = Authority(folder)
    certificate = servers.sign(office.now - timedelta(days=9), office.now + timedelta(days=60))
    root = Pki(vault, office.names.pki_mount).read_root()
    with run_gate(certificate, light.settings.consul.address, light.vault_gate, root) as gate:
        yield Site(office, gate, servers, folder)


@pytest.fixture
def key(site: Site, request: pytest.FixtureRequest) -> str:
    """A box that no other test has, and that is merged."""
    name = f"acme/b{len(site.office.wish)}"
    site.expect(name)
    site.office.settle()
    site.gate.restart_count()
    site.gate.is_lost = lambda number: False
    return name


def test_riti_join_brings_a_box_in(site: Site, key: str) -> None:
    data, card = site.folder / key, site.write_card(key)
    argv = [sys.executable, "-m", "ritilib", "join", "--data", str(data), "--card", str(card)]
    with site.control():
        done = subprocess.run([*argv, "--serial", SERIAL], capture_output=True, text=True, timeout=END_S)
    assert done.returncode == 0, done.stderr
    lines = [line.removeprefix(f"{key}: ") for line in done.stdout.splitlines()]
    assert lines[0].startswith("starting") and lines[-1] == "in"
    assert json.loads((data / STATUS).read_text())["state"] == "in"
    site.judge_bound(key, key)
    assert not site.list_claim_tokens()
    crt = OverlayTool(site.light.nebula_cert).read_certificate((data / OVERLAY_CRT).read_text())
    assert crt.name == f"box.{key}" and "PRIVATE" in (data / OVERLAY_KEY).read_text()
    for text in (done.stdout, done.stderr, (data / STATUS).read_text()):
        assert (card / CLAIM_FILE).read_text().strip() not in text
    before = site.gate.passed.copy()
    again = subprocess.run([*argv, "--serial", SERIAL], capture_output=True, text=True, timeout=END_S)
    assert again.returncode == 0 and again.stdout.splitlines()[-1] == f"{key}: in"
    assert not [one for one in site.gate.passed[len(before) :] if one.method == "PUT"]


def test_a_box_that_nobody_knows_the_serial_of_waits(site: Site, key: str) -> None:
    site.office.merge(key, serial=None)
    card = site.write_card(key)
    with site.control():
        shown = site.run(key, card, is_once=True)
        assert shown.state == "waiting" and shown.words.startswith("waiting for approval"), shown
        assert site.binding(key).state == "waiting"
        site.office.merge(key, serial=SERIAL)
        assert site.run(key, card).state == "in"
    site.judge_bound(key, key)


def test_one_card_in_two_boxes_at_once(site: Site, key: str) -> None:
    """Whoever was first, each sees that another asks, and shows the controller its own: both are locked."""
    card, one, two = site.write_card(key), f"{key}-one", f"{key}-two"
    place, states = site.office.name(key).enroll_request, dict[str, str]()
    threads = [
        threading.Thread(
            target=lambda name=name: states.update({name: site.run(name, card, is_once=True).state})
        )
        for name in (one, two)
    ]
    threads[0].start()
    wait_for(lambda: site.office.consul.read(place) is not None)
    threads[1].start()
    wait_for(lambda: site.reads(place, two))
    site.office.step()
    wait_for(lambda: site.reads(place, one))
    with site.control():
        wait_for(lambda: site.binding(key).state == "conflict")
        for thread in threads:
            thread.join(END_S)
        assert states[one] != "in", states
        assert site.run(two, card, is_once=True).state in ("shut-out", "used", "not-accepted")
    site.judge_locked(key)
    assert {one["thumbprint"] for one in site.list_used(key)} == {site.thumbprint(two)}


def test_one_card_in_two_boxes_one_after_the_other(site: Site, key: str) -> None:
    card = site.write_card(key)
    with site.control():
        assert site.run(key, card).state == "in"
        site.office.now += timedelta(seconds=61)  # when it is looked again who is in
        wait_for(lambda: not site.binding(key).open)
        assert site.run(f"{key}-late", card, is_once=True).state == "not-accepted"
    site.judge_bound(key, key)


def test_a_stolen_card_that_was_faster_is_found_out(site: Site, key: str) -> None:
    """The thief is in before the box is plugged in, and its role is not closed yet."""
    card = site.write_card(key)
    thief = threading.Thread(target=lambda: site.run("thief-" + key, card))
    thief.start()
    wait_for(lambda: site.office.consul.read(site.office.name(key).enroll_request) is not None)
    site.office.step()
    thief.join(END_S)
    box = threading.Thread(target=lambda: site.run(key, card, is_once=True))
    box.start()
    wait_for(lambda: site.reads(site.office.name(key).enroll_request, key))
    with site.control():
        box.join(END_S)
        wait_for(lambda: site.binding(key).state == "conflict")
        assert site.run("thief-" + key, card, is_once=True).state == "shut-out"
    site.judge_locked(key)


def test_a_request_that_is_put_again_changes_nothing(site: Site, key: str) -> None:
    """Before it is answered, and after the box is in."""
    card, place = site.write_card(key), site.office.name(key).enroll_request
    box = threading.Thread(target=lambda: site.run(key, card))
    box.start()
    wait_for(lambda: site.office.consul.read(place) is not None)
    held = site.office.consul.read(place)
    assert held is not None
    site.office.consul.write(place, held.value, held.modify_index)
    with site.control():
        box.join(END_S)
    site.judge_bound(key, key)
    reply = site.office.read_reply(key)
    site.office.put_request(held.value, key)
    site.office.settle()
    assert site.office.read_reply(key) == reply
    site.judge_bound(key, key)
    assert site.run(key, card).state == "in"


def test_another_serial_number_is_refused(site: Site, key: str) -> None:
    with site.control():
        shown = site.run(key, site.write_card(key), serial="10000000cafecafe")
        assert shown.state == "denied" and "10000000cafecafe" in shown.words
        assert site.run(f"{key}-claim", site.write_card(key, serial="1000000000000001")).state == "denied"
        assert not site.list_used(key)
        assert site.run(key, site.write_card(key)).state == "in"  # a card written anew, in the right hardware
    site.judge_bound(key, key)


def test_what_lies_there_of_a_foreign_key_keeps_no_box_out(site: Site, key: str) -> None:
    """Somebody wrote rubbish, or a request with no good claim, where the box puts its own."""
    site.office.put_request(b"rubbish", key)
    foreign = site.office.make_box(key)
    site.office.put_request(foreign.ask(site.office.make_claim(key, generation=9)), key)
    with site.control():
        assert site.run(key, site.write_card(key)).state == "in"
    site.judge_bound(key, key)


@pytest.mark.parametrize("off", [timedelta(0), -YEARS, YEARS])
def test_an_expired_card_says_so(site: Site, key: str, off: timedelta) -> None:
    site.office.now = datetime.now(UTC) - timedelta(days=40)
    card = site.write_card(key)
    site.office.now = datetime.now(UTC)
    with site.control():
        assert site.run(key, card, is_once=True, off=off).state == "expired"
    assert not site.list_used(key) and not site.list_claim_tokens_of(key)


def test_a_revoked_box_is_shut_out_and_a_new_card_brings_it_back(site: Site, key: str) -> None:
    card = site.write_card(key)
    with site.control():
        assert site.run(key, card).state == "in"
        before = site.thumbprint(key)
        site.office.merge(key, revoked=True)
        wait_for(lambda: site.binding(key).state == "revoked" and site.binding(key).done)
        assert site.run(key, card, is_once=True).state == "shut-out"
        assert site.run(f"{key}-other", site.write_card(key), is_once=True).state == "not-accepted"
        site.office.merge(key, revoked=False, generation=2)
        wait_for(lambda: site.binding(key).generation == 2)
        assert site.run(key, card, is_once=True).state == "shut-out"
        assert site.run(key, site.write_card(key, generation=2)).state == "in"
    assert site.thumbprint(key) == before and site.binding(key).generation == 2


@pytest.mark.parametrize("off", [-YEARS, YEARS, -timedelta(days=20_000)])
def test_a_clock_that_is_wrong_by_years(site: Site, key: str, off: timedelta) -> None:
    card = site.write_card(key)
    with site.control():
        assert site.run(key, card, off=off).state == "in"
        assert site.run(key, card, off=off).state == "in"
    site.judge_bound(key, key)


def test_a_claim_of_another_fleet_opens_nothing(site: Site, key: str) -> None:
    site.keep_time()
    stranger = "another" + site.office.fleet[-8:]
    clients = Consul(site.light.settings), Vault(site.light.settings)
    prepare_enrollment(*clients, stranger, "another-id", lambda words: None)
    foreign = RealOffice(stranger, site.office.servers, *clients, light=site.light)
    claim = foreign.make_claim(key)
    with site.control():
        with pytest.raises(RitiError, match="not of the same box"):
            site.run(key, site.write_card(key, claim))
        signed = RealOffice(site.office.fleet, site.office.servers, *clients, light=site.light)
        signed.names = foreign.names  # the right names, signed by the other fleet's key
        shown = site.run(key, site.write_card(key, signed.make_claim(key)), is_once=True)
        assert shown.state == "not-accepted"
    assert not site.list_used(key)


def test_a_renewal_and_the_copy_of_a_box(site: Site, key: str) -> None:
    """The copy renews first; the box finds a value that it did not put there, and shows it: both are locked."""
    card, data = site.write_card(key), site.folder / key
    with site.control():
        assert site.run(key, card).state == "in"
        first = (data / IDENTITY_CRT).read_text()
        assert site.run(key, card, off=RENEWING).state == "in"
        assert (data / IDENTITY_CRT).read_text() != first
        assert site.binding(key).state == "bound"
        shutil.copytree(data, site.folder / f"{key}-copy")
        assert site.run(f"{key}-copy", card, off=RENEWING).state == "in"
        assert site.run(key, card, is_once=True, off=RENEWING).state in ("copied", "shut-out")
        wait_for(lambda: site.binding(key).state == "conflict" and site.binding(key).done)
        assert site.run(f"{key}-copy", card, is_once=True, off=RENEWING).state == "shut-out"
    site.judge_locked(key)
    assert "copy" in site.binding(key).why


def test_every_lost_reply_is_read_again(site: Site, key: str) -> None:
    """Each request of the run loses its answer once, on its way back."""
    with site.control():
        assert site.run(key, site.write_card(key)).state == "in"
        names = [f"acme/l{nth}" for nth in range(len(site.gate.passed))]
        for nth, name in enumerate(names):
            site.expect(name)
            wait_for(lambda name=name: site.office.read_binding(name) is not None)  # type: ignore[misc]
            site.gate.restart_count()
            site.gate.is_lost = lambda number, nth=nth: number == nth  # type: ignore[misc]
            assert site.run(name, site.write_card(name)).state == "in", nth
            assert len({one.digest for one in [Store(site.folder / name).load().request] if one}) == 1
    for name in names:
        site.judge_bound(name, name)
    assert not site.list_claim_tokens()


def test_killed_after_every_fsync_and_every_request(site: Site, key: str) -> None:
    spawner = multiprocessing.get_context("forkserver")
    spawner.set_forkserver_preload(["tests.enroll.dying_box"])
    names = list[str]()
    with site.control():
        for nth in range(MOST_MOMENTS):
            name = f"acme/k{nth}"
            site.expect(name)
            wait_for(lambda name=name: site.office.read_binding(name) is not None)  # type: ignore[misc]
            data, card = site.folder / name, site.write_card(name)
            died = spawner.Process(target=run_dying, args=(nth, data, card, SERIAL, timedelta(0)))
            died.start()
            died.join(END_S)
            if died.exitcode == 0:
                break
            assert died.exitcode == -signal.SIGKILL, died.exitcode
            held = {
                file: (data / file).read_bytes()
                for file in (IDENTITY_KEY, OVERLAY_KEY, REQUEST)
                if (data / file).exists()
            }
            assert site.run(name, card).state == "in", nth
            assert {file: (data / file).read_bytes() for file in held} == held
            names.append(name)
        else:
            raise AssertionError("it has more moments than anybody counted")
    assert len(names) > LEAST_MOMENTS
    for name in names:
        site.judge_bound(name, name)
    assert not site.list_claim_tokens()


def wait_for(holds: Callable[[], bool]) -> None:
    """Until it is so; an error where it never is."""
    assert poll(holds, END_S)
