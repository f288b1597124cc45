"""/usr/lib/riti/slot: RAUC's way to the boot partitions (its custom backend), and what tries and proves a slot.

RAUC calls get-primary, set-primary, get-state, set-state and get-current; `restart` and `prove` are called by units,
and `show` by people: which slot runs, and which one the next start takes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from onbox import closing, health, machine, selector, slots
from onbox.selection import SLOTS, NoSelection, write_selection

# Only QEMU has it: there the kernel cannot leave the flag with the firmware, and the emulated firmware listens here.
FLAG_PORT = Path("/dev/virtio-ports/riti.tryboot")
# the reboot call's argument, by which Raspberry Pi's kernel has the firmware take [tryboot] once
TRY = "0 tryboot"
ASKED = Path("/run/riti/restart")  # the agent's: riti-restart.path starts this when it is there
_PAUSE_S = 5.0
_FAILURES = (
    *(slots.Refused, selector.Unreadable, NoSelection),
    *(OSError, ValueError, subprocess.CalledProcessError),
)


def answer(argv: Sequence[str]) -> str:
    """What RAUC is told; slots.Refused where it asks for what there is not."""
    now = machine.read_slots()
    match list(argv):
        case ["get-current"]:
            return now.booted
        case ["get-primary"]:
            return slots.find_primary(now)
        case ["show"]:
            return f"{now.booted}/{slots.find_primary(now)}"
        case ["get-state", slot]:
            return slots.find_state(now, slot)
        case ["set-primary", slot]:
            _carry_out(slots.set_primary(now, slot))
        case ["set-state", slot, state]:
            _carry_out(slots.set_state(now, slot, state))
        case _:
            raise slots.Refused(f"{' '.join(argv)} is no question of RAUC's")
    return ""


def restart() -> None:
    """Start the machine anew: into the slot that is to be tried, where there is one. Never while a call is up:
    slots.Refused says so, and all is as it was.
    """
    # once more only when it is asked for again
    ASKED.unlink(missing_ok=True)
    now = machine.read_slots()
    # before Asterisk ends: what it does now is what the next version must do
    is_try, record = slots.begin_try(now, machine.read_health().reach())
    if why := closing.end_gently():
        raise slots.Refused(f"it does not restart now: {why}")
    machine.RESTARTING.touch()
    machine.GIVEN_UP.unlink(missing_ok=True)
    machine.write_kept(record)
    argv = ["systemctl", "reboot"]
    if is_try:
        argv.append(f"--reboot-argument={TRY}")
        if FLAG_PORT.exists():
            FLAG_PORT.write_text("try\n")
    subprocess.run(argv, check=True)


def prove() -> None:
    """Commit the slot that is tried once it is healthy, or go back. At once where nothing is tried."""
    while True:
        # from power on, whenever this was started
        waited_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        now, lacks = _look()
        if now and not now.is_unproved:
            return
        verdict = health.judge(lacks, waited_s)
        # through RAUC, so that its own status knows it too; it asks this backend, which puts the sector
        if now and verdict == "commit" and _call("rauc", "status", "mark-good"):
            print(f"RITI slot {now.booted} is committed", flush=True)
            return
        if verdict == "back" or waited_s >= health.BOUND_S:
            why = "; ".join(lacks) or "RAUC does not mark it"
            print(f"RITI slot is given up: {why}", flush=True)
            # the data partition may be what is lacking
            with suppress(OSError):
                machine.write_durable(machine.GIVEN_UP, why)
            _call("systemctl", "reboot")
            return
        time.sleep(_PAUSE_S)


def _look() -> tuple[slots.Slots | None, list[str]]:
    """The slots, and what the one that is tried lacks. Early in a start udev has not found the selector yet."""
    try:
        now = machine.read_slots()
    except (OSError, ValueError, selector.Unreadable, NoSelection) as error:
        return None, [str(error)]
    return now, health.find_lacks(machine.read_health(), now.record.wanted or {}) if now.is_unproved else []


def _call(*argv: str) -> bool:
    return subprocess.run(argv, check=False).returncode == 0


def _carry_out(decision: slots.Decision) -> None:
    # the sector first: a cut behind it leaves a committed slot, whose mark no longer counts
    if decision.commit:
        machine.commit(write_selection(SLOTS[decision.commit]))
    machine.write_kept(decision.record)


def main() -> None:
    """0 done, 1 not."""
    try:
        match sys.argv[1:]:
            case ["restart"]:
                restart()
            case ["prove"]:
                prove()
            case words:
                if said := answer(words):
                    print(said)
    except _FAILURES as error:
        print(f"slot: {error}", file=sys.stderr)
        sys.exit(1)
