"""One box let in, answered, locked out: each step again without harm, so that whoever leads next goes on anywhere.

What is written, in this order, and what a controller that ends in between leaves:

1. The binding and what its claim was used for, in one transaction: from here on the key is the box's. The request lies
   there still, so the next controller goes on with it.
2. Certificates are signed. Those that nobody published are nobody's.
3. The box's rights at Vault and Consul: worth nothing without the certificate.
4. The reply and, in the same transaction, the fingerprint by which its certificate can be refused.
5. The request goes. One that is put again by a box that did not see the reply is answered by the same.
6. When the box was seen with tokens of its own, nobody may ask by its claim any more.

Locking out begins with the binding too: what is closed is closed again by whoever finds it not done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ritilib.clients.consul_values import Entry
from ritilib.clients.vault_pki import Pki
from ritilib.enroll.binding import Asked, Binding, Expected, Held, Issued, Note, drop_ended, expect, read_used
from ritilib.enroll.decide import LOCKED, Bind, Conflict, Keep, Refuse, Wait, decide, find_jti
from ritilib.enroll.reply import Reply, State, read_reply
from ritilib.enroll.request import SignedRequest
from ritilib.errors import EnrollError, ServerError
from ritilib.reconcile.authority import CERTIFICATE_HOURS
from ritilib.render.names import EnrollmentNames, UnitNames
from ritilib.sync.enroll.blocked import block
from ritilib.sync.enroll.duties import Task
from ritilib.sync.enroll.prepare import PKI_ROLE
from ritilib.sync.enroll.rights import BoxRights, forget_key
from ritilib.sync.unit.apply import Servers
from ritilib.sync.unit.secrets import find_due

REPORTED_WHY = 400  # characters of a reply's reason


@dataclass(frozen=True)
class Box:
    """One box as a pass found it: binding with its index in Consul (None, 0: there is none). overlay is what its
    certificate is to say; None where no merged file says it."""

    names: UnitNames
    expected: Expected | None
    binding: Binding | None
    index: int
    overlay: Mapping[str, Any] | None = None
    has_reply: bool = False  # whether its key is there

    @property
    def address(self) -> str:
        return str(self.overlay["network"]) if self.overlay else ""

    def base(self) -> Binding:
        """What is gone on from."""
        generation = self.expected.generation if self.expected else 1
        return self.binding or expect(generation, None, self.address)


@dataclass(frozen=True)
class Done:
    """What became of one box, for people; alarm: two have what one alone can have. wrote: whether anything was."""

    key: str
    what: str = ""
    alarm: bool = False
    wrote: bool = True


class Enroller:
    """Works with one set of clients. Methods raise Conflict where another writes meanwhile: the next pass goes on."""

    def __init__(
        self,
        servers: Servers,
        fleet: str,
        fleet_id: str,
        keys: Callable[[], Collection[str]],
        clock: Callable[[], datetime],
    ) -> None:
        """keys gives the public keys that sign claims; it is asked when the first request is to be judged."""
        self._servers, self._keys, self._clock = servers, keys, clock
        self._consul = servers.consul
        self._fleet = EnrollmentNames(fleet)
        self._rights = BoxRights(servers.consul, servers.vault, fleet, fleet_id)
        self._pki = Pki(servers.vault, self._fleet.pki_mount)

    def carry_out(self, box: Box, task: Task) -> tuple[Box, Done]:
        """What a box needs besides answers; the box afterwards."""
        key = task.key
        match task.duty:
            case "open":
                assert task.expected
                self._rights.open_enrollment(box.names)
                return self._open(box, expect(task.expected.generation, None, box.address)), Done(key)
            case "replace":
                assert task.expected and box.binding
                self._close(box.names, box.binding)
                for left in (
                    box.names.box_generation,
                    box.names.box_report,
                    box.names.box_word,
                    box.names.box_image,
                ):
                    forget_key(self._consul, left)
                self._rights.open_enrollment(box.names)
                fresh = expect(task.expected.generation, box.binding, box.address)
                return self._write(box, fresh), Done(key, f"generation {fresh.generation} may ask")
            case "revoke":
                assert box.binding
                box = self._write(box, box.binding.closing("revoked", "the fleet says so"))
                return self._finish(box), Done(key, "is revoked")
            case "finish":
                assert box.binding
                return self._finish(box), Done(key, f"is locked out: {box.binding.why}")
            case "shut":
                assert box.binding
                self._rights.close_enrollment(box.names)
                return self._write(box, box.binding.model_copy(update={"open": False})), Done(key, "is in")

    def answer(self, box: Box, request: Entry, may_lock: bool) -> Done:
        """Decide about a request, and carry it out."""
        jti = find_jti(request.value)
        used_entry = self._consul.read(self._fleet.used(jti)) if jti else None
        used = read_used(used_entry.value) if used_entry else None
        advanced = None if jti else self._consul.read(box.names.box_generation)
        value = advanced.value.decode("ascii", "replace") if advanced else None
        now = self._clock()
        decided = decide(
            self._keys(), box.expected, Held(box.binding, used, value, may_lock), request.value, now
        )
        match decided:
            case Bind(signed, claimed, bound_jti):
                bound = _bind(box.base(), signed, bound_jti, now)
                if claimed:
                    writes = [
                        (self._fleet.binding(box.names.key), bound.encode(), box.index),
                        (
                            self._fleet.used(bound_jti),
                            claimed.encode(),
                            used_entry.modify_index if used_entry else 0,
                        ),
                    ]
                    box = Box(box.names, box.expected, bound, self._consul.write_all(writes)[0], box.overlay)
                self._grant(box, bound, signed, now)
                what = f"is bound to the key {signed.thumbprint[:12]} of {signed.request.serial}"
                done = Done(box.names.key, what if claimed else "has new certificates")
            case Keep(signed):
                assert box.binding
                if not (box.binding.done and self._has_reply(box.names, signed.digest)):
                    self._grant(box, box.binding, signed, now)
                done = Done(box.names.key)
            case Wait(why, asked, is_candidate):
                return self._wait(box, why, asked, is_candidate, now)
            case Refuse(why, asked):
                done = self._refuse(box, why, asked, now)
            case Conflict(why, asked):
                done = self._lock(box, why, asked, now)
        self._consul.delete(request.key, request.modify_index)
        return done

    def _grant(self, box: Box, bound: Binding, signed: SignedRequest, now: datetime) -> None:
        """Certificates, rights, and the reply that holds them."""
        if box.overlay is None:
            what = f"no merged file says what the overlay's certificate of {box.names.key} is to be"
            raise ServerError.because(what, "render its company again, and merge it")
        identity = self._pki.sign(PKI_ROLE, signed.request.csr, box.names.job_id)
        authority = self._servers.authority()
        crt = self._servers.overlay.sign(
            authority,
            signed.request.overlay_public,
            box.overlay["name"],
            box.overlay["network"],
            tuple(box.overlay["groups"]),
            CERTIFICATE_HOURS,
        )
        certificate = self._servers.overlay.read_certificate(crt)
        self._rights.give(box.names, bound.generation, is_new=not bound.identity_serial)
        due = find_due(min(identity.not_after, certificate.not_after), box.overlay["name"])
        issued = Issued(fingerprint=certificate.fingerprint, not_after=certificate.not_after.isoformat())
        done = bound.model_copy(
            update={
                "done": True,
                "identity_serial": identity.serial,
                "renew_at": due.isoformat(),
                "overlay": (*drop_ended(bound.overlay, now), issued),
            }
        )
        reply = Reply(
            request=signed.digest,
            state="bound",
            identity=identity.chain,
            overlay_crt=crt,
            overlay_ca=authority.trusted,
            overlay_edition=authority.edition,
            overlay_authority=authority.generation,
            renew_at=due.isoformat(),
        )
        self._reply(box, reply, done)

    def _wait(self, box: Box, why: str, asked: Asked, is_candidate: bool, now: datetime) -> Done:
        """The request stays where it is, and is looked at again; what people are to see is written down."""
        base = box.base()
        after = base
        if is_candidate and base.state != "bound":
            after = _note_asker(base, asked, now).model_copy(update={"state": "waiting", "why": why})
        written = self._say(box, "waiting", why, asked, after)
        return Done(box.names.key, f"waits: {why}" if written else "", wrote=written)

    def _refuse(self, box: Box, why: str, asked: Asked, now: datetime) -> Done:
        base, after = box.base(), box.base()
        is_locked = base.state == "conflict"
        if asked.thumbprint and box.binding and why != base.why:
            after = base.noting(_make_note(why, asked, now))
        self._say(box, "conflict" if is_locked else "denied", why, asked, after)
        return Done(box.names.key, f"turned away: {why}")

    def _lock(self, box: Box, why: str, asked: Asked, now: datetime) -> Done:
        base = box.base()
        locked = base.closing("conflict", why).noting(_make_note(why, asked, now))
        index = self._write(box, locked).index
        box = Box(box.names, box.expected, locked, index, box.overlay)
        box = self._finish(box)
        assert box.binding
        self._say(box, "conflict", LOCKED, asked, box.binding)
        return Done(box.names.key, f"is locked out: {why}", alarm=True)

    def _finish(self, box: Box) -> Box:
        """Close all that a binding which says so still leaves open."""
        assert box.binding
        self._close(box.names, box.binding)
        kept = drop_ended(box.binding.blocked, self._clock())
        return self._write(box, box.binding.model_copy(update={"done": True, "open": False, "blocked": kept}))

    def _close(self, names: UnitNames, binding: Binding) -> None:
        self._rights.close_enrollment(names)
        self._rights.take(names, binding.generation)
        refused = (*binding.blocked, *binding.overlay)
        if refused:
            now = self._clock()
            ended = [one.fingerprint for one in refused if one.has_ended(now)]
            living = [one.fingerprint for one in refused if not one.has_ended(now)]
            block(self._consul, self._fleet.blocked, living, ended)

    def _say(self, box: Box, state: State, why: str, asked: Asked, after: Binding) -> bool:
        """A reply without certificates, and the binding where it is another; whether anything was written."""
        if not asked.digest:
            return False  # nobody can tell a reply to what has no words
        return self._reply(box, Reply(request=asked.digest, state=state, why=why[:REPORTED_WHY]), after)

    def _reply(self, box: Box, reply: Reply, after: Binding) -> bool:
        held = self._consul.read(box.names.enroll_reply)
        writes: list[tuple[str, bytes, int]] = []
        if held is None or held.value != reply.encode():
            writes.append((box.names.enroll_reply, reply.encode(), held.modify_index if held else 0))
        if box.expected is not None and after != box.binding:
            writes.append((self._fleet.binding(box.names.key), after.encode(), box.index))
        if writes:
            self._consul.write_all(writes)
        return bool(writes)

    def _has_reply(self, names: UnitNames, digest: str) -> bool:
        held = self._consul.read(names.enroll_reply)
        try:
            said = read_reply(held.value) if held and held.value else None
        except EnrollError:
            return False
        return said is not None and (said.request, said.state) == (digest, "bound")

    def _open(self, box: Box, binding: Binding) -> Box:
        """The binding, and an empty reply. Who waits for a key that is not there is woken by whatever others write
        beside it: ten thousand boxes that wait would each ask again at every answer to one of them."""
        if box.has_reply:
            return self._write(box, binding)
        writes = [
            (self._fleet.binding(box.names.key), binding.encode(), box.index),
            (box.names.enroll_reply, b"", 0),
        ]
        return replace(box, binding=binding, index=self._consul.write_all(writes)[0], has_reply=True)

    def _write(self, box: Box, binding: Binding) -> Box:
        index = self._consul.write(self._fleet.binding(box.names.key), binding.encode(), box.index)
        return Box(box.names, box.expected, binding, index, box.overlay)


def _bind(base: Binding, signed: SignedRequest, jti: str, now: datetime) -> Binding:
    said = _note_asker(
        base, Asked(signed.thumbprint, signed.request.serial, signed.digest, jti, signed.request.image), now
    )
    first = {} if base.state == "bound" else {"bound_at": now.isoformat(timespec="seconds")}
    return said.model_copy(update={"state": "bound", "done": False, "why": "", **first})


def _note_asker(base: Binding, asked: Asked, now: datetime) -> Binding:
    update: dict[str, Any] = {
        "thumbprint": asked.thumbprint,
        "serial": asked.serial,
        "request": asked.digest,
        "image": asked.image,
        "first_seen": base.first_seen or now.isoformat(timespec="seconds"),
    }
    return base.model_copy(update=update | ({"jti": asked.jti} if asked.jti else {}))


def _make_note(why: str, asked: Asked, now: datetime) -> Note:
    return Note(
        at=now.isoformat(timespec="seconds"), why=why, thumbprint=asked.thumbprint, serial=asked.serial
    )
