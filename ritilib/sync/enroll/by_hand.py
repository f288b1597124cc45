"""What a person says of a box in Consul, before Git says it, or instead: the registry carries it out at once."""

from __future__ import annotations

from collections.abc import Callable

from ritilib.clients.protocols import ConsulClient
from ritilib.enroll.binding import CLOSED, Binding, read_binding
from ritilib.errors import RitiError
from ritilib.render.names import EnrollmentNames


def find_asking(consul: ConsulClient, fleet: str, key: str) -> Binding:
    """The binding of a box that waits for approval; RitiError where it does not."""
    binding = _read(consul, fleet, key)[0]
    if binding.state != "waiting":
        mend = "see `riti enroll list`"
        raise RitiError.because(f"{key} does not wait for approval: it is {binding.state}", mend)
    return binding


def approve_now(consul: ConsulClient, fleet: str, key: str) -> Binding:
    """Have a waiting box let in with the serial number that it says. Raises Conflict where another decides too."""
    find_asking(consul, fleet, key)
    return _change(consul, fleet, key, lambda one: one.model_copy(update={"approved": one.serial}))


def deny(consul: ConsulClient, fleet: str, key: str, who: str) -> Binding:
    """Turn a waiting box away: its claim is worth nothing to it any more."""
    find_asking(consul, fleet, key)
    update = {"state": "denied", "why": f"denied by {who}"}
    return _change(consul, fleet, key, lambda one: one.model_copy(update=update))


def revoke_now(consul: ConsulClient, fleet: str, key: str, who: str) -> Binding:
    """Lock a box out, for its generation."""

    def close(held: Binding) -> Binding:
        return held if held.state in CLOSED else held.closing("revoked", f"revoked by {who}")

    return _change(consul, fleet, key, close)


def _read(consul: ConsulClient, fleet: str, key: str) -> tuple[Binding, int]:
    entry = consul.read(EnrollmentNames(fleet).binding(key))
    if entry is None:
        mend = "see that it is merged, and that a controller runs: `riti enroll list`"
        raise RitiError.because(f"nothing is known of {key}", mend)
    return read_binding(entry.value), entry.modify_index


def _change(consul: ConsulClient, fleet: str, key: str, change: Callable[[Binding], Binding]) -> Binding:
    held, index = _read(consul, fleet, key)
    wanted = change(held)
    if wanted != held:
        consul.write(EnrollmentNames(fleet).binding(key), wanted.encode(), index)
    return wanted
