"""What lives on a stack beside its servers: offices and telephones, ended before it.

A demo that was left up has them in no hand but the record's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ritilib.clients.docker import Docker
from ritilib.devstack.claims import hold_lock
from ritilib.devstack.processes import Process, end_process, is_running
from ritilib.devstack.record import Record, read_record, write_record
from ritilib.devstack.telephony.office import remove_offices
from ritilib.errors import DevstackError, RitiError

END_S = 5.0


def adopt_process(state: Path, name: str, process: Process) -> None:
    """Have `down` end this process too. DevstackError where no stack runs in state."""
    with hold_lock(state / "lock"):
        record = read_record(state)
        if record is None:
            raise DevstackError.because(f"no stack runs in {state}", "start one: riti dev up")
        alive = {key: one for key, one in record.guests.items() if is_running(one)}
        record.guests = alive | {name: process}
        write_record(state, record)


def end_guests(record: Record, label: str, report: Callable[[str], None]) -> None:
    """End the adopted processes, and remove every office that bears the stack's label."""
    for name, process in record.guests.items():
        if is_running(process):
            report(f"stopping {name}")
        end_process(process, END_S)
    record.guests = {}
    if not record.docker_host:
        return
    try:
        remove_offices(Docker(record.docker_host), label)
    except RitiError as error:
        report(f"offices were not looked for: {error}")
