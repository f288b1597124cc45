"""Carries out what reconcile.authority decides: one step a cycle, Vault's document first, then the inventory's entry.

Whoever is ended between the two leaves an entry that is behind: the next cycle, or the next leader, reads Vault's
document while a rotation is under way, and writes the entry after it. A key that was made and not written is nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ritilib.gitops.desired import Desired
from ritilib.reconcile import authority
from ritilib.reconcile.authority import TIMING, Member, Standing, Step, Timing, Wished, decide, needs_members
from ritilib.reconcile.state import Record
from ritilib.sync.observe import Places, Seen
from ritilib.sync.overlay.kept import Kept, Pair, name_document, read_kept
from ritilib.sync.overlay.members import Looker
from ritilib.sync.unit.apply import Servers

AUTHORITY_HOURS = 10 * 365 * 24
SAID = {
    "begin": "a second authority, which all are told to trust",
    "sign": "the new authority signs, and certificates are renewed",
    "hasten": "all certificates are renewed now",
    "retire": "the old authority is trusted no longer",
    "destroy": "the key of the old authority is destroyed",
}


@dataclass(frozen=True)
class Rotated:
    """How far it is now. said: what was done, for people ("": nothing that they need to know); again: when to look
    again (None: nothing is under way)."""

    standing: Standing
    said: str = ""
    again: datetime | None = None


def rotate_authority(
    desired: Desired,
    seen: Seen,
    records: Mapping[str, Record],
    servers: Servers,
    now: datetime,
    timing: Timing = TIMING,
) -> Rotated:
    """One step. Where nothing is under way, and nothing is wished, no server is asked.

    Raises Conflict where another writes meanwhile, and as the clients do: the next cycle goes on from what is written.
    """
    standing = seen.observed.authority or Standing()
    wished = Wished(desired.authority.generation, desired.authority.at_once)
    if standing.phase == "settled" and wished.generation <= standing.generation:
        return Rotated(standing)
    kept = read_kept(servers.vault, desired.fleet)
    if kept.standing != standing.core:
        return _publish(kept.standing, seen, servers, desired.fleet, now, timing)
    members: tuple[Member, ...] = ()
    if needs_members(standing):
        looker = Looker(desired.fleet, servers.nomad, servers.consul, servers.overlay)
        members = looker.look(kept, records)
    step = decide(standing, wished, members, now, timing)
    again = now + timedelta(seconds=step.again_s) if step.again_s is not None else None
    if step.action == "rest":
        return Rotated(standing, "", again)
    after = _move(step, standing, kept, wished, servers, desired.fleet, now, timing)
    done = _publish(after, seen, servers, desired.fleet, now, timing)
    said = SAID.get(step.action, "")
    if step.left_behind and said:
        said += f"; not waited for: {', '.join(step.left_behind)}"
    return replace(done, said=said, again=again)


def _move(
    step: Step,
    standing: Standing,
    kept: Kept,
    wished: Wished,
    servers: Servers,
    fleet: str,
    now: datetime,
    timing: Timing,
) -> Standing:
    """Write Vault's document, where the step asks for it; the standing afterwards."""
    match step.action:
        case "note":
            return authority.note(standing, step.missing, now)
        case "begin":
            made = servers.overlay.make_authority(fleet, AUTHORITY_HOURS)
            after = authority.begin(standing, wished, now)
            moved = replace(kept, standing=after, other=Pair(made.crt, made.key))
        case "sign":
            assert kept.other
            after = authority.sign(standing, wished, now, timing)
            # nothing is signed by the old one any more, so its key is left out here already
            moved = replace(kept, standing=after, signer=kept.other, other=Pair(kept.signer.crt))
        case "hasten":
            moved = replace(kept, standing=authority.hasten(standing, now))
        case "retire":
            moved = replace(kept, standing=authority.retire(standing, now), other=None)
        case _:
            # this document holds it no longer, and those before are not needed: nothing goes back
            servers.vault.destroy_versions_before(name_document(fleet), kept.version)
            moved = replace(kept, standing=authority.settle(standing, now))
    servers.vault.write_document(name_document(fleet), moved.encode(), kept.version, revive=False)
    return moved.standing


def _publish(
    standing: Standing, seen: Seen, servers: Servers, fleet: str, now: datetime, timing: Timing
) -> Rotated:
    servers.consul.write(Places(fleet).authority, standing.to_bytes(), seen.authority_index)
    return Rotated(standing, "", now + timedelta(seconds=timing.look_s))
