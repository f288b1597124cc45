"""The watcher beside real Asterisks, as they were rendered: a call whose way dies, what it says and reloads."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ritilib.clients.docker import Docker
from ritilib.devstack.images.asterisk import USER_ID
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.callee import Callee
from ritilib.devstack.telephony.company import RunningFleet, hold_fleet
from ritilib.devstack.telephony.failures import (
    Failure,
    LinkCut,
    MeshCut,
    PathCut,
    PbxDead,
    hold_failure,
)
from ritilib.devstack.telephony.node import Node
from ritilib.devstack.telephony.office import wait_until
from ritilib.devstack.telephony.phone_events import Call
from ritilib.devstack.telephony.placed_call import hears
from ritilib.devstack.telephony.trace import COMMANDS, trace_call
from ritilib.render.asterisk_conf import CONFIG_FOLDER
from tests.integration.companies import MONTEVIDEO, SALTO, render_company

LABEL = "riti-test-watcher"
MADE = render_company("100.81.21.0/24", {MONTEVIDEO: ("101",), SALTO: ("201",)})
WITHIN_S = 60.0
OUTAGE_S = 1.5
SECRET = "/var/run/asterisk/manager.secret"
HOME, AWAY = f"box:{MONTEVIDEO}", f"box:{SALTO}"
HOME_PBX, AWAY_PBX = f"pbx:{MONTEVIDEO}", f"pbx:{SALTO}"
BY_CLOUD = (HOME, HOME_PBX, AWAY_PBX, AWAY)
DIRECT = (HOME, AWAY)
BY_LINES = (HOME, f"line:{MONTEVIDEO}", "public", f"line:{SALTO}", AWAY)
# what comes in by a line is the cloud's to decide, where that is in reach
BY_LINES_AND_CLOUD = (*BY_LINES, AWAY_PBX, AWAY)


@dataclass(frozen=True)
class Talk:
    """A call that is up by the first way, and the end that answered it."""

    caller: Callee
    callee: Callee
    call: Call
    answered: Call
    rings: int

    def is_heard(self, answered: Call) -> bool:
        """Whether both hear each other, the callee in that call."""
        return hears(self.caller, self.call, self.callee.tone_hz) and hears(
            self.callee, answered, self.caller.tone_hz
        )


@pytest.fixture(scope="module")
def fleet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    folder = tmp_path_factory.mktemp("lab")
    with hold_fleet(Docker(stack.docker_host), MADE.tree, MADE.outside, folder, LABEL, print) as running:
        yield running


@pytest.fixture
def pbx(fleet: RunningFleet) -> Node:
    return fleet.nodes[AWAY_PBX]


@pytest.fixture
def talk(fleet: RunningFleet) -> Iterator[Talk]:
    fleet.wait_settled()
    caller, callee = fleet.phones[MONTEVIDEO, "101"], fleet.phones[SALTO, "201"]
    calls: list[Call] = []

    def is_up_by_cloud() -> bool:
        """A peer may be called unreachable a moment after an outage, and the next call goes another way."""
        calls.append(caller.phone.dial("201"))
        caller.phone.wait_for("established", WITHIN_S, calls[-1])
        if trace(fleet) == BY_CLOUD:
            return True
        hang_up(caller, callee, calls[-1])
        return False

    wait_until(is_up_by_cloud, WITHIN_S, "a call goes by the cloud")
    answered = callee.find_call()
    assert answered is not None
    talk = Talk(caller, callee, calls[-1], answered, callee.phone.rings)
    wait_until(lambda: talk.is_heard(answered), WITHIN_S, "both hear each other")
    yield talk
    callee.manner = "answer"
    hang_up(caller, callee, talk.call)


def hang_up(caller: Callee, callee: Callee, call: Call) -> None:
    if call.is_live:
        caller.phone.hang_up(call)
    for incoming in callee.phone.calls:
        if not incoming.outgoing:
            callee.phone.wait_for("closed", WITHIN_S, incoming)


def trace(fleet: RunningFleet) -> tuple[str, ...]:
    endpoint = fleet.phones[MONTEVIDEO, "101"].endpoint
    return trace_call(MONTEVIDEO, endpoint, fleet.map, lambda node: fleet.nodes[node].ask(*COMMANDS)).hops


def count_freed(fleet: RunningFleet) -> dict[str, int]:
    """Of the nodes that live."""
    return {name: fleet.nodes[name].read_state()["freed_legs"] for name in BY_CLOUD if fleet.nodes[name].pid}


def ask_health(node: Node) -> tuple[int, str]:
    """What a check by a script would be told."""
    return node.docker.execute(node.container, ["/watcher", "show"])


TAKEOVERS: list[tuple[Failure, set[str], tuple[str, ...]]] = [
    # what dies under the call, who misses the other then, and the way that the call takes
    (PathCut(HOME, HOME_PBX), {HOME, HOME_PBX}, DIRECT),
    (MeshCut(MONTEVIDEO, SALTO), {HOME_PBX, AWAY_PBX}, DIRECT),
    (PathCut(AWAY_PBX, AWAY), {AWAY_PBX, AWAY}, BY_LINES),
    (LinkCut(MONTEVIDEO), {HOME, HOME_PBX}, BY_LINES_AND_CLOUD),
    (PbxDead((MONTEVIDEO,)), {HOME, AWAY_PBX}, DIRECT),
]


@pytest.mark.parametrize(("failure", "ends", "way"), TAKEOVERS)
def test_a_call_whose_way_dies_goes_on_by_the_next_rung(
    fleet: RunningFleet, talk: Talk, failure: Failure, ends: set[str], way: tuple[str, ...]
) -> None:
    before, phone = count_freed(fleet), talk.callee.phone
    with hold_failure(fleet, failure, settle=False):
        wait_until(lambda: phone.rings == talk.rings + 1, WITHIN_S, "the callee is rung again")
        new = phone.wait_for("established", WITHIN_S, phone.calls[-1])
        wait_until(lambda: talk.is_heard(new), WITHIN_S, "both hear each other again")
        assert trace(fleet) == way
        # the callee's old leg goes too, on whichever side of the cut it was
        phone.wait_for("closed", WITHIN_S, talk.answered)
        assert talk.is_heard(new)
        freed = count_freed(fleet)
        assert {name for name in freed if freed[name] > before[name]} <= ends
        assert phone.rings == talk.rings + 1
        assert [call.state for call in (talk.call, new)] == ["established", "established"]


@pytest.mark.parametrize(
    "failure", [failure for failure, _, _ in TAKEOVERS if not isinstance(failure, PbxDead)]
)
def test_an_outage_that_passes_cuts_nothing(fleet: RunningFleet, talk: Talk, failure: Failure) -> None:
    before = count_freed(fleet)
    ends_s = time.monotonic() + OUTAGE_S
    with hold_failure(fleet, failure, settle=False):
        wait_until(lambda: time.monotonic() >= ends_s, WITHIN_S, "the outage passes")
    assert talk.is_heard(talk.answered)
    assert (count_freed(fleet), talk.callee.phone.rings) == (before, talk.rings)
    assert [call.state for call in (talk.call, talk.answered)] == ["established", "established"]


def test_a_callee_who_is_still_busy_is_rung_once_more(fleet: RunningFleet, talk: Talk) -> None:
    phone = talk.callee.phone
    talk.callee.manner = "busy"  # as a telephone that can have one call only
    with hold_failure(fleet, MeshCut(MONTEVIDEO, SALTO), settle=False):
        wait_until(lambda: phone.rings == talk.rings + 1, WITHIN_S, "the callee is rung again")
        phone.wait_for("closed", WITHIN_S, phone.calls[-1])
        talk.callee.manner = "answer"
        wait_until(lambda: phone.rings == talk.rings + 2, WITHIN_S, "the callee is rung once more")
        new = phone.wait_for("established", WITHIN_S, phone.calls[-1])
        wait_until(lambda: talk.is_heard(new), WITHIN_S, "both hear each other again")
        assert trace(fleet) == DIRECT


def test_says_busy_while_a_call_is_up(fleet: RunningFleet, talk: Talk) -> None:
    for name in BY_CLOUD:
        state = fleet.nodes[name].read_state()
        assert (state["manager"], state["status"], state["link"]) == ("up", "busy", "up")
    talk.caller.phone.hang_up(talk.call)
    for name in BY_CLOUD:
        node = fleet.nodes[name]
        wait_until(lambda node=node: node.read_state()["status"] == "idle", WITHIN_S, f"{name} is idle")


def test_a_watcher_that_is_killed_harms_no_call_and_comes_back(talk: Talk, pbx: Node) -> None:
    killed = pbx.find_watcher("watch")
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: pbx.find_watcher("watch") not in (None, killed), WITHIN_S, "it comes back")
    wait_until(lambda: ask_health(pbx)[0] == 0, WITHIN_S, "it is well again")
    assert pbx.find_watcher("start") is not None  # a PBX's keeper is Asterisk's parent
    assert talk.is_heard(talk.answered)


def test_a_lost_session_is_opened_again(talk: Talk, pbx: Node) -> None:
    lost = "watcher: the manager interface closed the connection"
    times, freed = pbx.docker.read_log(pbx.container).count(lost), pbx.read_state()["freed_legs"]
    session = re.search(
        r"^ +watcher +127\.0\.0\.1 +\d+ +\d+ +(\d+) ", pbx.ask("manager show connected"), re.MULTILINE
    )
    assert session is not None
    pbx.ask(f"manager kick session {session[1]}")
    wait_until(
        lambda: pbx.docker.read_log(pbx.container).count(lost) == times + 1, WITHIN_S, "the loss is noticed"
    )
    wait_until(lambda: ask_health(pbx)[0] == 0, WITHIN_S, "it is well again")
    assert (pbx.read_state()["status"], pbx.read_state()["freed_legs"]) == ("busy", freed)
    assert talk.is_heard(talk.answered)


def test_what_changes_is_reloaded_and_acknowledged_once_in_force(pbx: Node) -> None:
    name = "extensions.conf"
    text = pbx.plan.folders[CONFIG_FOLDER][name]
    more = text + "[more]\nexten => 199,1,Hangup(17) ; one number more\n"
    pbx.replace(CONFIG_FOLDER, name, more)
    expected = {"sha256": hashlib.sha256(more.encode()).hexdigest()}
    wait_until(
        lambda: pbx.read_state()["acknowledged"][name] == expected, WITHIN_S, "the text is acknowledged"
    )
    assert "'199' =>" in pbx.ask("dialplan show more")
    # Asterisk says "Dialplan reloaded." to this one too
    pbx.replace(CONFIG_FOLDER, name, more + '#include "nowhere.conf"\nexten => 198,1,Hangup(17)\n')
    wait_until(lambda: name in pbx.read_state()["unacknowledged"], WITHIN_S, "it is not acknowledged")
    assert pbx.read_state()["acknowledged"][name] == expected
    pbx.replace(CONFIG_FOLDER, name, text)
    wait_until(lambda: pbx.read_state()["unacknowledged"] == {}, WITHIN_S, "the old text is back")


def test_peers_that_a_reload_leaves_out_are_not_acknowledged(pbx: Node) -> None:
    text = pbx.plan.folders["/secrets"]["iax.conf"]
    rendered = MADE.tree[f"rendered/{SALTO}/pbx/live/iax.conf"]
    further = "[pbx-c](absent-secret)\ntype=friend\nhost=127.0.0.9\n"
    assert ask_health(pbx)[0] == 0
    # Asterisk keeps the old peers, and the reload reports success
    pbx.replace("/secrets", "iax.conf", text + further)
    wait_until(
        lambda: "pbx-c is not in force" in pbx.read_state()["unacknowledged"].get("iax.conf", ""),
        WITHIN_S,
        "the missing peer is noticed",
    )
    code, said = ask_health(pbx)
    assert code == 1
    assert "not healthy: iax.conf: the peer pbx-c is not in force" in said
    secrets = "; secrets version 4\n[absent-secret](!)\nsecret=of-the-lab\n"
    pbx.replace("/secrets", "iax.conf", secrets + text + further + "\n")
    expected = {"sha256": hashlib.sha256((rendered + further).encode()).hexdigest(), "secrets": 4}
    wait_until(
        lambda: pbx.read_state()["acknowledged"]["iax.conf"] == expected,
        WITHIN_S,
        "the new text is in force",
    )
    pbx.replace("/secrets", "iax.conf", text)
    wait_until(lambda: ask_health(pbx)[0] == 0, WITHIN_S, "the old text is back")


def test_the_manager_interface_is_for_the_watcher_alone(pbx: Node) -> None:
    sockets = [line.split() for line in Path(f"/proc/{pbx.pid}/net/tcp").read_text().splitlines()[1:]]
    assert [words[1] for words in sockets if words[3] == "0A" and words[1].endswith(":13AE")] == [
        "0100007F:13AE"
    ]
    path = Path(f"/proc/{pbx.pid}/root{SECRET}")
    assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (0o400, USER_ID)
    secret = path.read_text().splitlines()[-1].removeprefix("secret=")
    assert len(secret) == 64
    assert secret not in pbx.docker.read_log(pbx.container) + repr(pbx.docker.inspect(pbx.container))
    shown = pbx.ask("manager show user watcher")
    assert " command" not in shown.split("write perm")[1].splitlines()[0]
