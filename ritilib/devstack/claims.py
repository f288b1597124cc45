"""Several stacks on one machine: who has which slot, and which Docker daemon they share."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, Field

from ritilib.devstack.folders import write_private
from ritilib.devstack.network import SLOTS, Footprint, Slot, has_interface, remove_interface
from ritilib.devstack.processes import Process, identify, is_running
from ritilib.devstack.record import read_record
from ritilib.errors import DevstackError


class Claim(BaseModel):
    """One stack's hold on a slot; claimant is the command that took it, until servers run."""

    state: Path
    claimant: Process


class Shared(BaseModel):
    """What the stacks of one cache share."""

    claims: dict[int, Claim] = Field(default_factory=dict)
    dockerd: Process | None = None
    before: Footprint | None = None


@contextmanager
def open_shared(cache: Path) -> Iterator[Shared]:
    """The shared record, alone: read under a lock, written back at the end."""
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / "stacks.json"
    with hold_lock(cache / "stacks.lock"):
        shared = Shared.model_validate_json(path.read_bytes()) if path.exists() else Shared()
        try:
            yield shared
        finally:
            write_private(path, shared.model_dump_json(indent=2))


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """One command at a time; the lock goes with the command, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def claim_slot(shared: Shared, state: Path) -> Slot:
    """The slot that state has already, or the first that is free; DevstackError when all are taken.

    A stack that died keeps its slot until `down` has cleaned up after it, unless its folder is gone.
    """
    for number, claim in list(shared.claims.items()):
        abandoned = read_record(claim.state) is None or not has_interface(Slot(number).public_interface)
        if claim.state != state and abandoned and not _is_alive(claim):
            remove_interface(Slot(number).public_interface)
            del shared.claims[number]
    own = [number for number, held in shared.claims.items() if held.state == state]
    free = [n for n in range(SLOTS) if n not in shared.claims and not has_interface(Slot(n).public_interface)]
    for number in (*own, *free):
        shared.claims[number] = Claim(state=state, claimant=identify(os.getpid()))
        return Slot(number)
    running = ", ".join(str(held.state) for held in shared.claims.values())
    raise DevstackError.because(
        f"{SLOTS} local stacks run already ({running})", "end one: riti dev down --dir FOLDER"
    )


def release_slot(shared: Shared, state: Path) -> bool:
    """Give the slot back; True when no stack is left on this machine."""
    shared.claims = {number: claim for number, claim in shared.claims.items() if claim.state != state}
    strangers = (
        n for n in range(SLOTS) if n not in shared.claims and has_interface(Slot(n).public_interface)
    )
    return not any(_is_alive(claim) for claim in shared.claims.values()) and not any(True for _ in strangers)


def _is_alive(claim: Claim) -> bool:
    record = read_record(claim.state)
    servers = record.processes.values() if record else ()
    return is_running(claim.claimant) or any(is_running(one) for one in servers)
