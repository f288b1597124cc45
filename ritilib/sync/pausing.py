"""Suspends at once, and lifts: one small entry in Consul, beside which the fleet's files are not looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from ritilib.clients.protocols import ConsulClient
from ritilib.errors import RitiError
from ritilib.fleet.kinds import Reason
from ritilib.reconcile.suspensions import Suspension, is_scope, list_scopes, name_entry
from ritilib.sync.observe import Places, read_suspensions

_REASON: TypeAdapter[str] = TypeAdapter(Reason)


@dataclass(frozen=True)
class Resumed:
    """lifted: what was in force until now (None: nothing of this very scope); still: what suspends it all the same."""

    lifted: Suspension | None
    still: tuple[Suspension, ...]


def suspend(
    consul: ConsulClient,
    fleet: str,
    scope: str,
    why: str,
    who: str,
    now: datetime,
    until: datetime | None = None,
) -> Suspension:
    """Suspend a scope as Suspension has it, in place of what was written of it before; what is written.

    Raises RitiError for a scope or a reason that is none, and Conflict where somebody else writes meanwhile.
    """
    _check_scope(scope)
    try:
        reason = _REASON.validate_python(why)
    except ValidationError as error:
        mend = "say why in one line of at most 200 characters: others will ask"
        raise RitiError.because("this is no reason for a suspension", mend) from error
    since = now.isoformat(timespec="seconds")
    made = Suspension(scope, reason, who, since, until.isoformat(timespec="seconds") if until else "")
    key = f"{Places(fleet).suspended}{name_entry(scope)}"
    held = consul.read(key)
    consul.write(key, made.to_bytes(), held.modify_index if held else 0)
    return made


def resume(consul: ConsulClient, fleet: str, scope: str, who: str, now: datetime) -> Resumed:
    """Lift what `suspend` wrote of this very scope, also what cannot be read; raises as `suspend` does."""
    _check_scope(scope)
    key = f"{Places(fleet).suspended}{name_entry(scope)}"
    held = consul.read(key)
    covering = [
        one
        for one in read_suspensions(fleet, consul)
        if one.scope in _list_above(scope) and one.is_in_force(now)
    ]
    own = next((one for one in covering if one.scope == scope), None)
    if own and held:
        lifted = replace(own, lifted_by=who, lifted_at=now.isoformat(timespec="seconds"))
        consul.write(key, lifted.to_bytes(), held.modify_index)
    return Resumed(own, tuple(one for one in covering if one is not own))


def _list_above(scope: str) -> tuple[str, ...]:
    """The scope itself and those that it is in."""
    return list_scopes(scope) if scope else ("",)


def _check_scope(scope: str) -> None:
    if scope and not is_scope(scope):
        what = f"`{scope}` is neither a company nor an office"
        raise RitiError.because(what, "write acme or acme/salto, or nothing for the whole fleet")
