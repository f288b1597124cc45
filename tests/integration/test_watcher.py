"""The watcher beside real Asterisks: what it says, what it reloads, and a call whose link dies."""

from __future__ import annotations

import hashlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.lab.calls import LINKS, TONES_HZ, Calls, hold_calls, hold_phones
from ritilib.clients.docker import Docker
from ritilib.devstack.images.asterisk import USER_ID
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.audio import read_wav, share_at
from ritilib.devstack.telephony.office import wait_until
from ritilib.devstack.telephony.phone import Phone

NODES = ("box-a", "pbx-a", "pbx-b", "box-b")
WITHIN_S = 60.0
LISTEN_S = 1.0
SECRET = "/var/run/asterisk/manager.secret"


@pytest.fixture(scope="module")
def lab(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calls]:
    with hold_calls(
        Docker(stack.docker_host), "riti-test-watcher", tmp_path_factory.mktemp("lab"), print
    ) as held:
        yield held


@pytest.fixture
def phones(lab: Calls) -> Iterator[tuple[Phone, Phone]]:
    """The caller and the callee with a call between them, by the first way."""
    lab.wait_reachable()
    with hold_phones(lab) as (caller, callee):
        caller.dial("102")
        caller.wait_for("established", WITHIN_S)
        callee.wait_for("established", WITHIN_S)
        wait_until(lambda: hears(caller, "102"), WITHIN_S, "the caller hears the callee")
        yield caller, callee


def hears(phone: Phone, other: str) -> bool:
    """Whether what comes from now on is the other's tone."""
    recording = phone.recording
    start_s = recording.length_s()
    wait_until(lambda: recording.length_s() >= start_s + LISTEN_S, WITHIN_S, f"{phone.name} hears something")
    return share_at(*read_wav(recording.path, start_s), TONES_HZ[other]) >= 0.9


def count_freed(lab: Calls) -> dict[str, int]:
    return {node: lab.read_state(node)["freed_legs"] for node in NODES}


def count_rungs(lab: Calls) -> list[str]:
    """The causes after which the caller's box took its next rung."""
    log = lab.docker.read_log(lab.find_container("box-a"))
    return [line.split()[-1] for line in log.splitlines() if line.startswith("NEXT RUNG after ")]


def test_says_busy_while_a_call_is_up(lab: Calls) -> None:
    for node in NODES:
        state = lab.read_state(node)
        assert (state["manager"], state["status"], state["link"]) == ("up", "idle", "up")
    with hold_phones(lab) as (caller, _):
        caller.dial("102")
        caller.wait_for("established", WITHIN_S)
        for node in NODES:
            wait_until(
                lambda node=node: lab.read_state(node)["status"] == "busy", WITHIN_S, f"{node} is busy"
            )
        caller.hang_up()
        for node in NODES:
            wait_until(
                lambda node=node: lab.read_state(node)["status"] == "idle", WITHIN_S, f"{node} is idle"
            )


@pytest.mark.parametrize(("link", "cause"), [(LINKS[0], "38"), (LINKS[1], "3"), (LINKS[2], "3")])
def test_a_call_whose_link_dies_goes_on_by_the_next_way(
    lab: Calls, phones: tuple[Phone, Phone], link: tuple[str, str], cause: str
) -> None:
    caller, callee = phones
    before, rungs, rings = count_freed(lab), count_rungs(lab), callee.rings
    lab.cut(link)
    try:
        wait_until(lambda: count_rungs(lab) == [*rungs, cause], WITHIN_S, f"box-a goes on after {cause}")
        wait_until(lambda: callee.rings == rings + 1, WITHIN_S, "the callee is rung again")
        freed = count_freed(lab)
        assert freed[link[0]] == before[link[0]] + 1
        assert all(freed[node] == before[node] for node in NODES if node not in link)
        # the callee's old leg goes too, on whichever side of the cut it was
        callee.wait_for("closed", WITHIN_S, callee.calls[-2])
        assert hears(caller, "102")
        callee.wait_for("established", WITHIN_S, callee.calls[-1])
        assert hears(callee, "101")
        assert [call.state for call in caller.calls] == ["established"]
    finally:
        lab.heal(link)


@pytest.mark.parametrize("link", LINKS)
def test_an_outage_that_asterisk_notices_and_that_passes_cuts_nothing(
    lab: Calls, phones: tuple[Phone, Phone], link: tuple[str, str]
) -> None:
    caller, callee = phones
    before, rings = count_freed(lab), callee.rings
    lab.cut(link)
    try:
        # the two ends check each other at different moments; the first to notice says that it was long enough
        wait_until(
            lambda: any("unreachable" in lab.read_state(node)["peers"].values() for node in link),
            WITHIN_S,
            f"an end of {link} misses the other",
        )
    finally:
        lab.heal(link)
    lab.wait_reachable()
    assert (count_freed(lab), callee.rings) == (before, rings)
    assert [call.state for call in (*caller.calls, *callee.calls)] == ["established", "established"]
    assert hears(caller, "102")
    assert hears(callee, "101")


def test_a_watcher_that_is_killed_harms_no_call_and_comes_back(
    lab: Calls, phones: tuple[Phone, Phone]
) -> None:
    caller, _ = phones
    killed = lab.find_process("pbx-a", "watch")
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: lab.find_process("pbx-a", "watch") not in (None, killed), WITHIN_S, "it comes back")
    wait_until(lambda: ask_health(lab, "pbx-a")[0] == 0, WITHIN_S, "it is well again")
    keeper = lab.find_process("pbx-a", "keep")
    assert keeper is not None
    assert hears(caller, "102")
    assert [call.state for call in caller.calls] == ["established"]


def test_a_lost_session_is_opened_again(lab: Calls, phones: tuple[Phone, Phone]) -> None:
    caller, _ = phones
    lost = "watcher: the manager interface closed the connection"
    container = lab.find_container("pbx-a")
    times, freed = lab.docker.read_log(container).count(lost), count_freed(lab)
    session = re.search(
        r"^ +watcher +127\.0\.0\.1 +\d+ +\d+ +(\d+) ", lab.ask("pbx-a", "manager show connected"), re.M
    )
    assert session is not None
    lab.ask("pbx-a", f"manager kick session {session[1]}")
    wait_until(
        lambda: lab.docker.read_log(container).count(lost) == times + 1, WITHIN_S, "the loss is noticed"
    )
    wait_until(lambda: ask_health(lab, "pbx-a")[0] == 0, WITHIN_S, "it is well again")
    assert lab.read_state("pbx-a")["status"] == "busy"
    assert hears(caller, "102")
    assert count_freed(lab) == freed


def ask_health(lab: Calls, node: str) -> tuple[int, str]:
    """What a check by a script would be told."""
    return lab.docker.execute(lab.find_container(node), ["/watcher", "show"])


def replace(lab: Calls, node: str, name: str, text: str) -> None:
    """Put a file there as Nomad does: beside, then renamed."""
    path = lab.folder / node / name
    beside = path.with_name(f".{name}.new")
    beside.write_text(text)
    beside.rename(path)


def test_what_changes_is_reloaded_and_acknowledged_once_in_force(lab: Calls) -> None:
    lab.wait_reachable()
    name = "extensions.conf"
    text = (lab.folder / "pbx-b" / name).read_text()
    more = text + "[more]\nexten => 199,1,Hangup(17) ; one number more\n"
    replace(lab, "pbx-b", name, more)
    expected = {"sha256": hashlib.sha256(more.encode()).hexdigest()}
    wait_until(
        lambda: lab.read_state("pbx-b")["acknowledged"][name] == expected,
        WITHIN_S,
        "the text is acknowledged",
    )
    assert "'199' =>" in lab.ask("pbx-b", "dialplan show more")
    # Asterisk says "Dialplan reloaded." to this one too
    replace(lab, "pbx-b", name, more + '#include "nowhere.conf"\nexten => 198,1,Hangup(17)\n')
    wait_until(lambda: name in lab.read_state("pbx-b")["unacknowledged"], WITHIN_S, "it is not acknowledged")
    assert lab.read_state("pbx-b")["acknowledged"][name] == expected
    replace(lab, "pbx-b", name, text)
    wait_until(lambda: lab.read_state("pbx-b")["unacknowledged"] == {}, WITHIN_S, "the old text is back")


def test_peers_that_a_reload_leaves_out_are_not_acknowledged(lab: Calls) -> None:
    lab.wait_reachable()
    text = (lab.folder / "pbx-b" / "iax.conf").read_text()
    assert ask_health(lab, "pbx-b")[0] == 0
    # Asterisk keeps the old peers, and the reload reports success
    replace(lab, "pbx-b", "iax.conf", text + "[pbx-c](absent-secret)\ntype=friend\nhost=127.0.0.9\n")
    wait_until(
        lambda: "pbx-c is not in force" in lab.read_state("pbx-b")["unacknowledged"].get("iax.conf", ""),
        WITHIN_S,
        "the missing peer is noticed",
    )
    code, said = ask_health(lab, "pbx-b")
    assert code == 1
    assert "not healthy: iax.conf: the peer pbx-c is not in force" in said
    template = "; secrets version 4\n[absent-secret](!)\nsecret=of-the-lab\n"
    mended = text + "[pbx-c](absent-secret)\ntype=friend\nhost=127.0.0.9\n"
    replace(lab, "pbx-b", "iax.conf", template + mended + "\n")
    expected = {"sha256": hashlib.sha256(mended.encode()).hexdigest(), "secrets": 4}
    wait_until(
        lambda: lab.read_state("pbx-b")["acknowledged"]["iax.conf"] == expected,
        WITHIN_S,
        "the new text is in force",
    )
    replace(lab, "pbx-b", "iax.conf", text)
    wait_until(lambda: ask_health(lab, "pbx-b")[0] == 0, WITHIN_S, "the old text is back")


def test_the_manager_interface_is_for_the_watcher_alone(lab: Calls) -> None:
    pid = lab.docker.inspect(lab.find_container("pbx-a"))["State"]["Pid"]
    sockets = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    assert [words[1] for words in sockets if words[3] == "0A" and words[1].endswith(":13AE")] == [
        "0100007F:13AE"
    ]
    status = Path(f"/proc/{pid}/root{SECRET}").stat()
    assert (status.st_mode & 0o777, status.st_uid) == (0o400, USER_ID)
    secret = Path(f"/proc/{pid}/root{SECRET}").read_text().splitlines()[-1].removeprefix("secret=")
    container = lab.find_container("pbx-a")
    assert len(secret) == 64
    assert secret not in lab.docker.read_log(container) + repr(lab.docker.inspect(container))
    shown = lab.ask("pbx-a", "manager show user watcher")
    assert " command" not in shown.split("write perm")[1].splitlines()[0]
