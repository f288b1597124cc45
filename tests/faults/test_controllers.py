"""Rows about who writes: locks that are lost, controllers that are paused, many at once, killed; clocks and disks."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ritilib.devstack.controllers import DEADLINE_S, Instance, start_controller
from ritilib.devstack.processes import wait_until
from ritilib.reconcile.leading import read_lead
from ritilib.sync.lead.hold import read_clock
from ritilib.sync.lead.rights import Rights
from tests.faults.lab import MONTEVIDEO, OFFICES, RIVERA, SALTO, Lab
from tests.faults.witness import Witness
from tests.integration.relay import Ledger, hold_relays
from tests.integration.small_disk import hold_small_disk

MOMENTS = (2, 9, 17)  # writes of a sync after which something happens


@pytest.fixture
def relayed(lab: Lab) -> Iterator[tuple[Ledger, dict[str, str]]]:
    """Relays before the servers: what passed, and the addresses."""
    ledger = Ledger()
    with hold_relays(lab.fleet.controller, ledger) as through:
        yield ledger, through


def change_all(lab: Lab, number: int, message: str) -> str:
    """A commit that changes the dial plan of every office: another telephone in each."""
    for place, key in enumerate(OFFICES):
        lab.fleet.write_box(*key.split("/"), OFFICES[key], f"{place + 5}{number:03}")
    return lab.merge(message)


def has_all(lab: Lab, number: int) -> bool:
    held = lab.holdings.read_kv()
    return all(
        f"{place + 5}{number:03}" in held[lab.fleet.names(key).kv_key] for place, key in enumerate(OFFICES)
    )


def start(lab: Lab, running: ExitStack, name: str, through: dict[str, str] | None = None) -> Instance:
    """A controller as a program, which polls each second."""
    environ = {**lab.fleet.controller, **(through or {})}
    made = start_controller(lab.folder, name, str(lab.fleet.forge), environ, ["--poll", "1"])
    running.callback(made.end)
    return made


def has_made(ledger: Ledger, number: int, act: Callable[[], object]) -> Callable[[list[str]], None]:
    """For Ledger.after_write: act once, before the write of this number is answered."""

    def after(writes: list[str]) -> None:
        if len(writes) == number:
            ledger.after_write = lambda _: None
            act()

    return after


@pytest.mark.row("lock lost while writing")
def test_a_lock_that_is_lost_while_writing_loses_nothing(
    lab: Lab, witness: Witness, relayed: tuple[Ledger, dict[str, str]]
) -> None:
    """In the middle of a sync the session is ended, and a newer commit is merged: whoever leads then applies it."""
    ledger, through = relayed
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    with ExitStack() as running:
        first = start(lab, running, "first", through)
        first.wait_for("leads")
        second = start(lab, running, "second", through)
        second.wait_for("follows")
        for number, moment in enumerate(MOMENTS):
            ledger.clear()
            ledger.after_write = has_made(ledger, moment, lab.fleet.forget_leader)
            change_all(lab, 2 * number, "a change of all offices")
            lab.wait(lambda: len(ledger.writes) >= moment, "waiting for the write")  # noqa: B023
            newest = 2 * number + 1
            change_all(lab, newest, "a newer one")
            lab.wait(lambda: has_all(lab, newest), "waiting for the newer commit")  # noqa: B023


@pytest.mark.row("paused controller waking up behind a new leader")
def test_a_paused_controller_wakes_up_behind_a_new_leader_and_writes_nothing(
    lab: Lab, witness: Witness, relayed: tuple[Ledger, dict[str, str]]
) -> None:
    """SIGSTOP in the middle of a sync; meanwhile another applies a newer commit; then SIGCONT."""
    ledger, through = relayed
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    with ExitStack() as running:
        first = start(lab, running, "first", through)
        first.wait_for("leads")
        ledger.after_write = has_made(ledger, MOMENTS[1], lambda: first.process.send_signal(signal.SIGSTOP))
        running.callback(lambda: first.process.send_signal(signal.SIGCONT))
        change_all(lab, 0, "a change of all offices")
        lab.wait(lambda: is_stopped(first.process), "waiting until it is paused")
        second = start(lab, running, "second")
        second.wait_for("leads")
        change_all(lab, 1, "a newer one")
        lab.wait(lambda: has_all(lab, 1), "waiting for the newer commit")
        passed = len(ledger.writes)
        first.process.send_signal(signal.SIGCONT)
        first.wait_for("follows")
        assert has_all(lab, 1)
        # what it had sent on its way arrived at dead tokens; it has written nothing that counts
        print(f"requests that write, after it woke: {ledger.writes[passed:]}")


def is_stopped(process: subprocess.Popen[bytes]) -> bool:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def sync_at_once(lab: Lab, rounds: int) -> None:
    """Two programs start at the same moment, again and again, each time with a commit to apply."""
    epochs = [read_epoch(lab)]
    for number in range(rounds):
        commit = change_all(lab, number, "a change of all offices")
        argv = ["--once", "--no-wait", "--repo", str(lab.fleet.forge), "--rev", commit]
        both = [run_riti(lab, *argv) for _ in range(2)]
        changed = 0
        for one in both:
            said, _ = one.communicate(timeout=2 * DEADLINE_S)
            assert one.returncode == 0, said
            changed += f"{len(OFFICES)} changed" in said
        assert changed == 1, "both or none made the change"
        assert has_all(lab, number)
        epochs.append(read_epoch(lab))
    assert epochs == list(range(epochs[0], epochs[0] + 2 * rounds + 1, 2))


def run_riti(lab: Lab, *arguments: str) -> subprocess.Popen[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(lab.folder), "PYTHONPATH": os.getcwd()}
    return subprocess.Popen(
        [sys.executable, "-m", "ritilib", "sync", *arguments],
        env={**environ, **lab.fleet.controller},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_epoch(lab: Lab) -> int:
    place = Rights(lab.fleet.name).lock
    text = lab.holdings.consul("GET", f"kv/{place}")
    return read_lead(place, base64.b64decode(text[0]["Value"])).epoch


@pytest.mark.row("two controllers started at once")
def test_two_controllers_started_at_once(lab: Lab, witness: Witness) -> None:
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    sync_at_once(lab, 10)


@pytest.mark.slow
@pytest.mark.row("two controllers started at once")
def test_two_controllers_started_at_once_a_hundred_times(lab: Lab, witness: Witness) -> None:
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    sync_at_once(lab, 100)


@pytest.mark.row("clock jump")
def test_a_clock_that_jumps_hurts_nothing(lab: Lab, witness: Witness) -> None:
    """Years ahead and back, in the middle of a grace period; and back behind the time at which all was written."""
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    with lab.serve() as one:
        one.settle(lab.fleet.git("rev-parse", "HEAD"))
        for number, years in enumerate((-30, -1, 0)):
            lab.clock.ahead = timedelta(days=365 * years)
            one.cycle()
            lab.remove_box(SALTO)
            lab.merge("Salto closes")
            one.wait_for("cycle", waiting=1)
            lab.clock.ahead -= timedelta(days=3650)
            one.cycle()
            # the grace period begins anew: what began in the future began at no time
            lab.clock.ahead += timedelta(minutes=9)
            one.cycle()
            assert lab.is_running(SALTO)
            lab.fleet.write_box("acme", "salto", "201", f"22{number}")
            one.settle(lab.merge("Salto is back"))
        lab.clock.ahead = timedelta()
        lab.remove_box(SALTO)
        lab.merge("Salto closes")
        one.cycle()
        # years ahead, the grace period is over: the other locks stand, one office may go, and no other does
        witness.let_go(lab.fleet, SALTO)
        lab.clock.ahead = timedelta(days=3650)
        for _ in range(2):
            one.cycle()
        assert lab.is_running(MONTEVIDEO) and lab.is_running(RIVERA) and lab.is_running("zorro/este")
        lab.clock.ahead = timedelta()
        lab.fleet.write_box("acme", "salto", "201")
        one.settle(lab.merge("Salto is back"))
        lab.wait(lambda: lab.is_running(SALTO), "waiting until Salto runs")


@pytest.mark.row("clock jump")
def test_a_leader_whose_machine_slept_leads_no_more_and_stands_again(lab: Lab, witness: Witness) -> None:
    """Its steady clock jumps an hour: its session may be another's, so it writes nothing until it leads anew."""
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    slept_s = [0.0]
    with lab.serve() as one:
        candidate = one.service.candidate
        one.service.candidate = lambda fleet: replace(
            candidate(fleet), clock=lambda: read_clock() + slept_s[0]
        )
        one.settle(lab.fleet.git("rev-parse", "HEAD"))
        lab.fleet.forget_leader()  # so that it stands with the clock that jumps
        lab.wait(lambda: len(one.events("leads")) == 2, "waiting until it leads again")
        slept_s[0] += 3600.0
        change_all(lab, 1, "a change while it slept")
        lab.wait(lambda: len(one.events("leads")) == 3, "waiting until it leads anew")
        lab.wait(lambda: has_all(lab, 1), "waiting for the change")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with hold_small_disk(tmp_path / "disk", "--lazy") as folder:
        yield folder


@pytest.mark.row("disk full")
def test_a_full_disk_under_mirror_and_log_hurts_nothing(lab: Lab, witness: Witness, small_disk: Path) -> None:
    """As a program whose mirror and log are on it: it heals drift, deletes nothing, and goes on when there is room."""
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    place = lab.fleet.names(RIVERA).kv_key
    servers = witness.servers

    def read() -> bytes:
        return servers.ask("CONSUL_HTTP", "GET", f"kv/{place}?raw").content

    with ExitStack() as running:
        one = start_controller(small_disk, "one", str(lab.fleet.forge), lab.fleet.controller, ["--poll", "1"])
        running.callback(one.end)
        one.wait_for("cycle", whole=True)
        lab.remove_box(SALTO)
        lab.merge("Salto closes")
        one.wait_for("cycle", waiting=1)
        fill(small_disk)
        commit = change_all(lab, 1, "what cannot be fetched")
        good = read()
        assert commit and f"6{1:02}".encode() not in good
        for text in (b"by hand", b"by hand again"):
            witness.write_key(place, text)
            wait_until(lambda: read() == good, DEADLINE_S, "waiting until it is healed", one.log)
        assert one.process.poll() is None
        assert lab.is_running(SALTO)
        lab.fleet.write_box("acme", "salto", "201")
        (small_disk / "filler").unlink()
        change_all(lab, 2, "there is room again")
        wait_until(lambda: has_all(lab, 2), DEADLINE_S, "waiting for the newest commit", one.log)


def fill(folder: Path) -> None:
    """Until not one byte more has room."""
    with (folder / "filler").open("wb", buffering=0) as file:
        for block in (1 << 16, 1 << 8, 1):
            with suppress(OSError):
                while file.write(bytes(block)) == block:
                    pass
