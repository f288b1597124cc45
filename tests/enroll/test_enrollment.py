"""A box's own end of enrollment on real servers: through a gateway by TLS, against the controller's registry.

Judged after each: one key is bound and no other ever was, and no token that a claim was given can do anything.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from ritilib.box.store import IDENTITY_CRT, OVERLAY_CRT, OVERLAY_KEY, STATUS
from ritilib.clients.consul import Consul
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.vault import Vault
from ritilib.enroll.card import CLAIM_FILE
from ritilib.errors import RitiError
from ritilib.sync.enroll.prepare import prepare_enrollment
from tests.enroll.site import END_S, RENEWING, Site, wait_for
from tests.enroll.test_promises import RealOffice
from tests.unit.enroll.boxes import SERIAL

YEARS = timedelta(days=3650)


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
