"""The registry on the fakes: what it writes, what it costs, and that it may end after any write."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from ritilib.clients.nebula import Authority, Certificate, OverlayTool
from ritilib.clients.vault import TRANSIT_MOUNT
from ritilib.enroll.binding import Binding
from ritilib.errors import Problem, RitiError
from ritilib.render.rules import EnrollmentRules
from ritilib.sync.enroll.by_hand import approve_now, deny, revoke_now
from ritilib.sync.enroll.prepare import prepare_enrollment
from ritilib.sync.unit.apply import Servers
from tests.enroll.offices import FLEET_ID, KEY, Office
from tests.fakes.consul import FakeConsul
from tests.fakes.journal import Journal
from tests.fakes.nomad import FakeNomad
from tests.fakes.vault import FakeVault
from tests.unit.enroll.boxes import SERIAL, Pi


class PaperTool:
    """An OverlayTool whose certificates are what they say, in JSON, each with a fingerprint of its own."""

    made = 0

    def sign(
        self, authority: Authority, public_key: str, name: str, network: str, groups: object, hours: int
    ) -> str:
        assert public_key.startswith("-----BEGIN NEBULA X25519 PUBLIC KEY-----")
        self.made += 1
        return json.dumps({"fingerprint": f"{self.made:064x}", "name": name, "network": network})

    def read_certificate(self, crt: str) -> Certificate:
        end = datetime.now(UTC) + timedelta(days=30)
        return cast(Certificate, SimpleNamespace(fingerprint=json.loads(crt)["fingerprint"], not_after=end))


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def office(journal: Journal) -> Office:
    consul, vault = FakeConsul(journal), FakeVault(journal)
    vault.enable_transit(TRANSIT_MOUNT)
    prepare_enrollment(consul, vault, "demo", FLEET_ID, lambda words: None)
    tool = cast(OverlayTool, PaperTool())
    servers = Servers(FakeNomad(journal), consul, vault, tool, lambda: Authority("ca", "key"))
    return Office("demo", [servers], consul, vault)


def read(office: Office) -> Binding:
    binding = office.read_binding()
    assert binding is not None
    return binding


def list_rights(office: Office) -> set[str]:
    """Roles of the box at Consul, policies and logins at Vault."""
    consul, vault = cast(FakeConsul, office.consul), cast(FakeVault, office.vault)
    logins = {path.split("/")[-1] for path in vault.engines.held if "/certs/" in path}
    return {*consul.roles, *(one for one in vault.policies if one.startswith("box-")), *logins}


def test_a_merged_box_may_ask_and_is_let_in(office: Office) -> None:
    names, box = office.name(), office.make_box()
    office.settle()
    assert list_rights(office) == {names.enroll_role}
    request = box.ask(office.make_claim())
    office.put_request(request)
    office.settle()
    reply, binding = office.read_reply(), read(office)
    assert reply is not None and reply.state == "bound" and reply.identity.count("BEGIN CERTIFICATE") == 2
    assert (binding.state, binding.thumbprint, binding.serial) == ("bound", box.thumbprint, SERIAL)
    assert binding.done and binding.open and len(binding.overlay) == 1
    assert office.consul.read(names.enroll_request) is None
    policy = f"{names.box_role}--1"
    assert list_rights(office) == {names.enroll_role, names.box_role, policy, names.job_id}
    office.advance(box)
    assert office.settle_later() == [f"{KEY} is in"]
    assert list_rights(office) == {names.box_role, policy, names.job_id}
    assert not read(office).open


def test_a_quiet_pass_is_one_request(office: Office, journal: Journal) -> None:
    office.wish |= {f"acme/o{number}": EnrollmentRules() for number in range(20)}
    office.enroll(office.make_box(), office.make_claim())
    before = len(journal.requests)
    for _ in range(3):
        assert office.step().done == ()
    assert journal.requests[before:] == ["consul list riti/demo/enroll*"] * 3


def test_the_same_request_has_the_same_answer(office: Office) -> None:
    box = office.make_box()
    request = office.enroll(box, office.make_claim())
    reply, binding = office.read_reply(), office.read_binding()
    office.put_request(request)
    office.settle()
    assert (office.read_reply(), office.read_binding()) == (reply, binding)
    assert office.consul.read(office.name().enroll_request) is None


def test_a_reply_that_was_lost_is_made_again_for_the_same_key(office: Office) -> None:
    box = office.make_box()
    request = office.enroll(box, office.make_claim())
    reply = office.consul.read(office.name().enroll_reply)
    assert reply is not None
    office.consul.delete(reply.key, reply.modify_index)
    office.put_request(request)
    office.settle()
    again = office.read_reply()
    assert again is not None and again.state == "bound"
    assert len(read(office).overlay) == 2  # both can be refused


def test_another_key_locks_both(office: Office) -> None:
    box, thief, card = office.make_box(), office.make_box(), office.make_claim()
    office.settle()
    office.put_request(box.ask(card))
    office.settle()
    fingerprints = [one.fingerprint for one in read(office).overlay]
    office.put_request(thief.ask(card))
    step = office.step()
    assert [one.alarm for one in step.done] == [True]
    binding, reply = read(office), office.read_reply()
    assert binding.state == "conflict" and binding.done and not binding.open
    assert [one.thumbprint for one in binding.conflicts] == [thief.thumbprint]
    assert reply is not None and reply.state == "conflict"
    assert list_rights(office) == set()
    assert office.read_blocked() == fingerprints
    office.put_request(box.ask(card))
    office.settle()
    assert list_rights(office) == set() and read(office).state == "conflict"


def test_a_copy_is_found_out_when_it_renews(office: Office) -> None:
    box = office.make_box()
    office.enroll(box, office.make_claim())
    copy = Pi(unit=box.unit, private=box.private)
    box.advanced = Pi().advanced
    office.advance(box)
    office.put_request(box.ask(None))
    office.settle()
    assert len(read(office).overlay) == 2 and read(office).state == "bound"
    office.put_request(copy.ask(None))
    office.settle()
    assert read(office).state == "conflict" and len(office.read_blocked()) == 2


def test_what_is_revoked_is_closed_and_stays_so(office: Office) -> None:
    box = office.make_box()
    office.enroll(box, office.make_claim())
    office.merge(revoked=True)
    assert office.settle() == [f"{KEY} is revoked"]
    assert list_rights(office) == set() and len(office.read_blocked()) == 1
    office.merge(revoked=False)
    office.put_request(box.ask(office.make_claim()))
    office.settle()
    assert list_rights(office) == set() and read(office).state == "revoked"


def test_a_revoked_box_that_never_asked_may_not(office: Office) -> None:
    office.merge(revoked=True)
    office.settle()
    assert list_rights(office) == set() and office.read_binding() is None


def test_a_replacement_gets_what_its_predecessor_loses(office: Office) -> None:
    old, new = office.make_box(), office.make_box(serial="10000000abcdef02")
    office.enroll(old, office.make_claim())
    fingerprint = read(office).overlay[0].fingerprint
    office.merge(generation=2, serial="10000000abcdef02")
    office.settle()
    names = office.name()
    assert list_rights(office) == {names.enroll_role} and office.read_blocked() == [fingerprint]
    assert office.consul.read(names.box_generation) is None
    office.put_request(old.ask(None))
    office.settle()
    assert read(office).state == "expected"
    office.enroll(new, office.make_claim(generation=2))
    assert list_rights(office) == {names.box_role, f"{names.box_role}--2", names.job_id}
    assert (read(office).thumbprint, read(office).generation) == (new.thumbprint, 2)
    assert office.read_blocked() == [fingerprint]


def test_without_a_serial_number_it_waits_until_the_fleet_says_it(office: Office) -> None:
    office.wish[KEY] = EnrollmentRules()
    box = office.make_box()
    office.settle()
    office.put_request(box.ask(office.make_claim()))
    office.settle()
    reply, binding = office.read_reply(), read(office)
    assert reply is not None and reply.state == "waiting"
    assert (binding.state, binding.serial, binding.thumbprint) == ("waiting", SERIAL, box.thumbprint)
    office.merge(serial=SERIAL)
    office.settle()
    assert read(office).state == "bound"


def test_a_company_that_is_held_is_left_alone(office: Office) -> None:
    desired = office.read_desired()
    held = replace(desired, units=(), held=(("acme", Problem("", 0, 0, "is stale", "render")),))
    office.put_request(office.make_box().ask(office.make_claim()))
    assert office.registry.step(held).done == ()
    assert office.consul.read(office.name().enroll_request) is not None


def test_what_is_no_request_is_taken_away(office: Office) -> None:
    office.settle()
    office.put_request(b"nothing")
    office.settle()
    assert office.consul.read(office.name().enroll_request) is None
    assert read(office).state == "expected"


@pytest.mark.parametrize("story", ["in", "revoked", "replaced", "conflict", "renewed"])
def test_it_may_end_after_any_write(story: str) -> None:
    """Whoever leads next comes to the same end, with one binding and nothing open that should not be."""
    for number in range(1, 200):
        written = end_at(story, number)
        if not written:
            assert number > 3
            return
    raise AssertionError("it writes for ever")


def end_at(story: str, number: int) -> bool:
    """The story with a leader that dies after its so manyeth write; whether it came to that one."""
    journal = Journal()
    consul, vault = FakeConsul(journal), FakeVault(journal)
    vault.enable_transit(TRANSIT_MOUNT)
    prepare_enrollment(consul, vault, "demo", FLEET_ID, lambda words: None)
    tool = cast(OverlayTool, PaperTool())
    servers = Servers(FakeNomad(journal), consul, vault, tool, lambda: Authority("ca", "key"))
    office = Office("demo", [servers], consul, vault)
    box, other, card = office.make_box(), office.make_box(), office.make_claim()
    names = office.name()
    if story == "in":
        office.put_request(box.ask(card))
    else:
        office.enroll(box, card)
    if story == "revoked":
        office.merge(revoked=True)
    elif story == "replaced":
        office.merge(generation=2)
    elif story == "conflict":
        office.put_request(other.ask(card))
    elif story == "renewed":
        box.advanced = Pi().advanced
        office.advance(box)
        office.put_request(box.ask(None))
    first = len(journal.writes)
    did_die = False

    def die(_words: str) -> None:
        if len(journal.writes) == first + number:
            raise KeyboardInterrupt

    journal.on_write = die
    try:
        office.settle()
    except KeyboardInterrupt:
        did_die = True
    journal.on_write = lambda words: None
    office.make_registry()
    office.settle()
    binding, rights = read(office), list_rights(office)
    inside = {names.box_role, f"{names.box_role}--1", names.job_id}
    reply = office.read_reply()
    published = {json.loads(reply.overlay_crt)["fingerprint"]} if reply and reply.overlay_crt else set()
    assert binding.done and consul.read(names.enroll_request) is None
    match story:
        case "in":
            assert binding.state == "bound" and binding.thumbprint == box.thumbprint
            assert rights == {*inside, names.enroll_role}
            assert published <= {one.fingerprint for one in binding.overlay} and published
            assert len([key for key in consul.entries if "/enrolled-jti/" in key]) == 1
        case "revoked" | "conflict":
            assert binding.state == story and rights == set() and not binding.open
            assert published <= set(office.read_blocked())
        case "replaced":
            assert (binding.state, binding.generation) == ("expected", 2)
            assert rights == {names.enroll_role} and office.read_blocked()
        case "renewed":
            assert binding.state == "bound" and rights == inside
            assert published <= {one.fingerprint for one in binding.overlay}
    return did_die


def test_approved_by_hand_it_is_let_in_before_git_says_it(office: Office) -> None:
    office.wish[KEY] = EnrollmentRules()
    office.settle()
    office.put_request(office.make_box().ask(office.make_claim()))
    office.settle()
    approve_now(office.consul, "demo", KEY)
    office.settle()
    assert read(office).state == "bound"
    with pytest.raises(RitiError, match="does not wait"):
        approve_now(office.consul, "demo", KEY)


def test_denied_by_hand_it_is_told_so(office: Office) -> None:
    office.wish[KEY] = EnrollmentRules()
    box, card = office.make_box(), office.make_claim()
    office.settle()
    office.put_request(box.ask(card))
    office.settle()
    deny(office.consul, "demo", KEY, "me")
    office.settle()
    reply = office.read_reply()
    assert reply is not None and reply.state == "denied" and read(office).state == "denied"
    office.merge(serial=SERIAL)
    office.put_request(box.ask(card))
    office.settle()
    assert read(office).state == "denied"
    office.put_request(box.ask(office.make_claim()))
    office.settle()
    assert read(office).state == "bound"


def test_revoked_by_hand_it_is_closed_before_git_says_it(office: Office) -> None:
    office.enroll(office.make_box(), office.make_claim())
    revoke_now(office.consul, "demo", KEY, "me")
    office.settle()
    assert list_rights(office) == set() and read(office).state == "revoked" and read(office).done
    office.merge(revoked=True)
    office.settle()
    office.merge(generation=2, revoked=False)
    office.settle()
    assert list_rights(office) == {office.name().enroll_role}
