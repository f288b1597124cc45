"""Mailboxes on real Asterisks: by which way they answer, what is left in them, who hears it, and who does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ritilib.clients.docker import Docker
from ritilib.devstack.processes import poll
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.audio import read_wav, share_at
from ritilib.devstack.telephony.callee import Callee
from ritilib.devstack.telephony.company import RunningFleet, hold_fleet
from ritilib.devstack.telephony.failures import CloudCut, Failure, LinkCut, MeshCut, PbxDead, hold_failure
from ritilib.devstack.telephony.node import Node
from ritilib.devstack.telephony.office import wait_until
from ritilib.devstack.telephony.phone_events import Call
from ritilib.devstack.telephony.placed_call import Outcome, place_call
from ritilib.devstack.telephony.trace import COMMANDS, read_snapshot, trace_call
from ritilib.errors import DevstackError
from tests.integration.companies import MONTEVIDEO, SALTO, lend, render_company
from tests.integration.listener import Listener

LABEL = "riti-test-mailbox"
SOON_S, LATER_S, REFUSED_S = 20.0, 40.0, 2.0
# a greeting is longer than all of them together, so that none is pressed into a message
PRESSES, UNDERSTOOD_S = 3, 2.0
HOME, AWAY = f"box:{MONTEVIDEO}", f"box:{SALTO}"
BY_LINES = (AWAY, f"line:{SALTO}", "public", f"line:{MONTEVIDEO}", HOME)
# 101: the plain one, and the line's owner; 102 has none; 103 forwards what finds it busy
FILES = {
    "fleet/companies/acme.yaml": """\
name: Acme
timezone: America/Montevideo
groups:
  - {number: "600", name: All, rings: ["101", "201"], seconds: 7}
  - {number: "601", name: One by one, rings: ["101", "201"], seconds: 6, how: in-turn}
""",
    f"fleet/boxes/{MONTEVIDEO}.yaml": """\
name: Montevideo
language: es
line: {number: "+59826000101"}
extensions:
  - {number: "101", name: One, phone: sip, public: "+59826000101", mailbox: {after_s: 5}}
  - {number: "102", name: Two, phone: sip}
  - {number: "103", name: Three, phone: sip, mailbox: {after_s: 5}, forward: {busy: "102"}}
""",
    f"fleet/boxes/{SALTO}.yaml": """\
name: Salto
line: {number: "+59826000201"}
extensions:
  - {number: "201", name: Far, phone: sip, public: "+59826000201", mailbox: {after_s: 5}}
""",
}
MADE = render_company("100.81.22.0/24", {MONTEVIDEO: (), SALTO: ()}, (), changed=FILES)


@pytest.fixture(scope="module")
def fleet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    folder = tmp_path_factory.mktemp("mailbox")
    with hold_fleet(Docker(stack.docker_host), MADE.tree, MADE.outside, folder, LABEL, print) as running:
        yield running


@pytest.fixture
def owner(fleet: RunningFleet) -> Iterator[Callee]:
    """The telephone of 101, whose manner a test may change."""
    yield from lend(fleet, MONTEVIDEO, "101")


@pytest.fixture
def caller(fleet: RunningFleet) -> Iterator[Callee]:
    """The telephone of 201."""
    yield from lend(fleet, SALTO, "201")


@contextmanager
def hold_call(phone: Callee, number: str) -> Iterator[Call]:
    """A call that has been answered."""
    call = phone.phone.dial(number)
    phone.phone.wait_for("established", LATER_S, call)
    try:
        yield call
    finally:
        phone.phone.hang_up(call)


def find_end(fleet: RunningFleet, caller: Callee) -> tuple[tuple[str, ...], str]:
    """The nodes that the caller's call passes, and what the last of them does with it: "VoiceMail(101@office,u)"."""
    trace = trace_call(caller.box, caller.endpoint, fleet.map, lambda node: fleet.nodes[node].ask(*COMMANDS))
    return trace.hops, f"{trace.end.application}({trace.end.data})" if trace.end else trace.phone


def wait_end(fleet: RunningFleet, caller: Callee, end: str) -> None:
    """Until a call that the caller takes for answered is connected at every node between, which is a moment later."""
    wait_until(lambda: find_end(fleet, caller)[1] == end, SOON_S, f"the call ends in {end}")


def find_menus(node: Node) -> list[str]:
    """Every mailbox whose menu is open on a box."""
    channels = read_snapshot(node.ask(*COMMANDS)).channels
    return [one.data for one in channels if one.application == "VoiceMailMain"]


def list_messages(fleet: RunningFleet, number: str, folder: str = "INBOX", name: str = "msg*") -> list[Path]:
    """The recordings in a folder of a mailbox of Montevideo, where they are kept."""
    [kept] = fleet.folder.glob("kept/*montevideo/voicemail")
    return sorted((kept / "office" / number / folder).glob(f"{name}.gsm"))


def leave(fleet: RunningFleet, caller: Callee, call: Call, number: str, seconds: float = 4.0) -> None:
    """Pass over the greeting, and speak for so long; the message is still being recorded when this returns."""
    heard = caller.phone.recording_of(call)
    wait_until(lambda: heard.length_s() > 0.5, SOON_S, "the greeting is heard")

    def find_age_s() -> float:
        # Asterisk keeps what it writes to itself until the end: the file is empty, and as old as the message is long
        ages = [time.time() - one.stat().st_mtime for one in list_messages(fleet, number, "tmp", "*")]
        return max(ages, default=0.0)

    for _ in range(PRESSES):  # a telephone that has just begun to talk may not be understood
        caller.phone.press("#")
        if poll(lambda: find_age_s() > 0.0, UNDERSTOOD_S):
            break
    wait_until(lambda: find_age_s() >= seconds, SOON_S, f"{seconds} s are recorded for {number}")


def is_heard(listener: Callee, call: Call, tone_hz: int) -> bool:
    """Whether the last half second is that tone."""
    recording = listener.phone.recording_of(call)
    samples, rate_hz = read_wav(recording.path, max(0.0, recording.length_s() - 0.5))
    return share_at(samples, rate_hz, tone_hz) >= 0.9


def hear(owner: Callee, tone_hz: int) -> None:
    """Open the mailbox, and return when its first message is heard to be that tone."""
    with hold_call(owner, "*97") as call:
        heard = owner.phone.recording_of(call)
        wait_until(lambda: heard.length_s() > 1.0, SOON_S, "the menu is heard")
        assert not is_heard(owner, call, tone_hz)
        owner.phone.press("1")
        wait_until(lambda: is_heard(owner, call, tone_hz), LATER_S, "the message is heard")


def test_a_message_is_left_and_heard(fleet: RunningFleet, owner: Callee, caller: Callee) -> None:
    owner.manner = "let ring"
    rung = owner.phone.rings
    with hold_call(caller, "101") as call:
        assert owner.phone.rings == rung + 1
        wait_end(fleet, caller, "VoiceMail(101@office,u)")
        assert find_end(fleet, caller)[0][-1] == HOME
        leave(fleet, caller, call, "101")
    wait_until(lambda: len(list_messages(fleet, "101")) == 1, SOON_S, "the message is there")
    hear(owner, caller.tone_hz)
    wait_until(lambda: len(list_messages(fleet, "101", "Old")) == 1, SOON_S, "the message is an old one")
    assert list_messages(fleet, "101") == []


def test_a_short_message_is_none(fleet: RunningFleet, owner: Callee, caller: Callee) -> None:
    owner.manner = "busy"
    before = list_messages(fleet, "101")
    with hold_call(caller, "101") as call:
        leave(fleet, caller, call, "101", 0.5)
    wait_until(lambda: not list_messages(fleet, "101", "tmp", "*"), SOON_S, "the recording is gone")
    assert list_messages(fleet, "101") == before


@pytest.mark.parametrize(
    ("failure", "hops"),
    [
        (PbxDead(()), (AWAY, f"pbx:{SALTO}", f"pbx:{MONTEVIDEO}", HOME)),
        (CloudCut(), (AWAY, HOME)),
        (LinkCut(SALTO), (*BY_LINES, f"pbx:{MONTEVIDEO}", HOME)),
        (LinkCut(MONTEVIDEO), BY_LINES),
    ],
    ids=["by cloud", "box to box", "by the lines", "by the lines alone"],
)
def test_it_answers_by_whichever_way_the_call_comes(
    fleet: RunningFleet, owner: Callee, caller: Callee, failure: Failure, hops: tuple[str, ...]
) -> None:
    owner.manner = "busy"
    before = len(list_messages(fleet, "101"))
    with hold_failure(fleet, failure):
        with hold_call(caller, "101") as call:
            wait_until(lambda: find_end(fleet, caller)[0] == hops, SOON_S, f"the call goes by {hops}")
            wait_end(fleet, caller, "VoiceMail(101@office,b)")
            leave(fleet, caller, call, "101")
        wait_until(lambda: len(list_messages(fleet, "101")) == before + 1, SOON_S, "the message is there")


def test_inside_the_office_it_answers_without_a_cloud(fleet: RunningFleet, owner: Callee) -> None:
    owner.manner = "busy"
    near = fleet.phones[MONTEVIDEO, "102"]
    with hold_failure(fleet, LinkCut(MONTEVIDEO)), hold_call(near, "101"):
        wait_end(fleet, near, "VoiceMail(101@office,b)")
        assert find_end(fleet, near)[0] == (HOME,)


def test_a_call_that_is_taken_over_does_not_end_in_the_mailbox(
    fleet: RunningFleet, owner: Callee, caller: Callee
) -> None:
    """The telephone still says busy when its box hears of the call anew."""
    with hold_call(caller, "101"):
        owner.manner = "busy"
        rung = owner.phone.rings
        with hold_failure(fleet, MeshCut(MONTEVIDEO, SALTO), settle=False):
            wait_until(lambda: owner.phone.rings > rung, LATER_S, "it is called by the next rung")
            owner.manner = "answer"
            wait_until(
                lambda: find_end(fleet, caller) == ((AWAY, HOME), "phone-101"), SOON_S, "they talk again"
            )


def test_a_forward_when_busy_is_followed_and_who_does_not_answer_has_the_mailbox(
    fleet: RunningFleet, caller: Callee
) -> None:
    third = fleet.phones[MONTEVIDEO, "103"]
    try:
        third.manner = "busy"
        assert place_call(fleet, SALTO, "201", "103").by == f"{MONTEVIDEO}:102"
        third.manner = "let ring"
        with hold_call(caller, "103"):
            wait_end(fleet, caller, "VoiceMail(103@office,u)")
    finally:
        third.manner = "answer"


@pytest.mark.parametrize(("group", "failure"), [("600", PbxDead(())), ("601", CloudCut())])
def test_a_group_ends_in_no_members_mailbox(
    fleet: RunningFleet, owner: Callee, caller: Callee, group: str, failure: Failure
) -> None:
    owner.manner = caller.manner = "let ring"
    rung = owner.phone.rings, caller.phone.rings
    with hold_failure(fleet, failure):
        outcome = place_call(fleet, MONTEVIDEO, "102", group, LATER_S)
    assert outcome == Outcome("refused", status="480 Temporarily Unavailable")
    assert (owner.phone.rings, caller.phone.rings) == (rung[0] + 1, rung[1] + 1)


def test_nobody_opens_anothers(fleet: RunningFleet, owner: Callee, caller: Callee) -> None:
    home, near = fleet.nodes[HOME], fleet.phones[MONTEVIDEO, "102"]
    with pytest.raises(DevstackError, match="403 Forbidden"):
        near.phone.dial("*97").wait_for("established", SOON_S)
    with hold_call(caller, "*97"):
        assert find_menus(home) == []
        assert find_menus(fleet.nodes[AWAY]) == ["201@office,s"]
    for node, peer in ((f"pbx:{MONTEVIDEO}", "box"), (AWAY, "box-montevideo")):
        fleet.nodes[node].ask(f"channel originate IAX2/{peer}/*97 application Wait 5")
        assert not poll(lambda: find_menus(home) != [], REFUSED_S)
    with hold_call(owner, "*97"):
        wait_until(lambda: find_menus(home) == ["101@office,s"], SOON_S, "the owner opens it")


def test_a_telephone_is_told_and_messages_outlive_the_box(
    fleet: RunningFleet, owner: Callee, caller: Callee
) -> None:
    home = fleet.nodes[HOME]
    [account] = [one for one in fleet.plan.phones if one.extension == "103"]
    fleet.phones[MONTEVIDEO, "103"].stop()  # the box takes one telephone for each account
    there = (fleet.gateway, home.office_address, account.user, account.password)
    with Listener(*there) as telephone:
        assert telephone.register() == "200 OK"
        with hold_call(caller, "103") as call:
            leave(fleet, caller, call, "103")
        told = telephone.wait_told("Messages-Waiting: yes")
        assert "Message-Account: sip:*97@" in told and "Voice-Message: 1/0 " in told
        assert telephone.subscribe() == "200 OK"
        telephone.wait_told("Messages-Waiting: yes")
    home.kill()
    home.revive()
    with Listener(*there) as telephone:
        assert telephone.register() == "200 OK"
        telephone.wait_told("Voice-Message: 1/0 ")
    fleet.restart_phones([MONTEVIDEO])
    hear(fleet.phones[MONTEVIDEO, "103"], caller.tone_hz)


def test_who_is_not_there_has_the_mailbox_at_once(fleet: RunningFleet, owner: Callee, caller: Callee) -> None:
    owner.stop()
    try:
        with hold_call(caller, "101"):
            wait_end(fleet, caller, "VoiceMail(101@office,u)")
    finally:
        fleet.restart_phones([MONTEVIDEO])


def test_no_word_was_wanting(fleet: RunningFleet) -> None:
    for node in fleet.list_nodes("box"):
        log = fleet.docker.read_log(node.container)
        assert "Asterisk Ready." in log
        assert [line for line in log.splitlines() if "does not exist" in line or "not open" in line] == []
