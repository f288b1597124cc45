"""One controller writes at a time (rule 8): a lock in Consul, and tokens that end with whoever held it.

What guarantees it, in the order in which a leader that should be none is stopped:

1. Its own clock. `check` is asked right before each request that may write (by the sessions of ritilib.clients), and
   refuses from ttl_s - margin_s after the last renewal was sent; Consul waits for ttl_s at the least, from its arrival.
   The clock also counts while the process, or its machine, sleeps. So a leader that is cut off or was paused writes
   nothing, unless it was paused between `check` and the request itself, or its session was ended from outside.
2. Its tokens. Nomad cannot see the lock and a request on its way cannot be called back, so the new leader revokes all
   tokens of its predecessors, at all three servers, before it has any of its own: those that Nomad and Consul list with
   the leader's policy, and those whose accessors stand in the lock. A request that arrives later is denied, whatever
   the old leader believes. A leader writes its tokens' accessors into the lock, bound to its session and to the key's
   index, before it uses them: if it lost the lock meanwhile that write fails, and they are never used (one that was
   made in Vault and not recorded ends after token_ttl_s). If a server cannot be asked to revoke, the candidate gives
   the lock back and writes nothing.
3. Compare-and-set of what is written (rule 7), for the one thing left: a request that a server had accepted and not
   yet carried out at the moment of the revocation. Nomad compares EnforceIndex when it accepts, not when it carries
   out, so such a registration may overwrite the new leader's; the inventory then shows it as drift.

What it does not: where Consul lost the lock's key (restored from an older snapshot, wiped), the tokens of the last
leader in Vault are not known and live until their end (token_ttl_s); those in Nomad and Consul are found by their
policy all the same. In a Consul of several datacenters the tokens are local ones; Consul's clients need none of their
caches, since servers judge every write.

Tried for Nomad and not taken: a workload identity cannot be taken back by stopping its allocation, since Nomad 1.10.5
takes it as good until the client itself says that the task ended (nomad/auth/auth.go, VerifyClaim); tokens from a JWT
login can be waited out without any management token, but live a minute at the least, so each takeover would last
longer than that; a variable as a fence cannot be compared in the same step as a job is registered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from ritilib.clients.consul import Consul
from ritilib.clients.nomad import Nomad
from ritilib.clients.protocols import ConsulClient, NomadClient, VaultClient
from ritilib.clients.settings import Settings
from ritilib.clients.tokens import Issued
from ritilib.clients.vault import Vault
from ritilib.errors import Conflict, LeadershipLost, RitiError, ServerError
from ritilib.reconcile.leading import Lead, Timing, read_lead, succeed
from ritilib.sync.lead.hold import Hold, read_clock
from ritilib.sync.lead.rights import Rights

WAIT_S = 5.0  # one blocking query of a candidate: so long a stop may have to wait
END_TIMEOUT_S = 5.0  # of each request at the end, which Nomad gives 30 s by default


@dataclass(frozen=True)
class Clients:
    """The three servers, asked with one set of tokens."""

    nomad: NomadClient
    consul: ConsulClient
    vault: VaultClient


def connect_clients(settings: Settings) -> Clients:
    """The real servers."""
    return Clients(Nomad(settings), Consul(settings), Vault(settings))


@dataclass(frozen=True)
class Candidate:
    """Who stands for election: the servers with the standing tokens that `riti bootstrap` made, the fleet's name, and
    what people are shown of it ("host:pid").

    left: sessions of its own leaderships that ended while Consul was away. Kept from one candidacy to the next, they
    need not be waited for (Consul gives each another 30 s after an outage, twice its ttl_s).
    """

    settings: Settings
    fleet: str
    who: str
    report: Callable[[str], None]
    timing: Timing = field(default_factory=Timing)
    connect: Callable[[Settings], Clients] = connect_clients
    clock: Callable[[], float] = read_clock
    left: set[str] = field(default_factory=set, compare=False)

    @property
    def rights(self) -> Rights:
        return Rights(self.fleet)


def take_lead(
    candidate: Candidate, patience_s: float | None = None, stop: threading.Event | None = None
) -> Leadership:
    """Wait until nobody leads the fleet, and lead it: when this returns, all tokens of former leaders are dead.

    Raises LeadershipLost after patience_s, or when stop is set, naming who leads; Unreachable, Denied, ServerError and
    GitopsError (a lock in words that are not ours) as they come: then nothing is led, and it may be tried again.
    """
    stopped = stop or threading.Event()
    end_s = candidate.clock() + patience_s if patience_s is not None else None
    standing = candidate.connect(candidate.settings)
    standing.vault.renew_token()
    index, shown = 0, ""
    while True:
        watched = standing.consul.watch(candidate.rights.lock, index, WAIT_S)
        index = watched.index if watched.index >= index else 0
        entry = watched.entry
        former = read_lead(entry.key, entry.value) if entry else None
        if entry and entry.session in candidate.left:
            standing.consul.destroy_session(entry.session)  # whoever led by it ended before this began
            candidate.left.discard(entry.session)
            continue
        is_free = entry is None or not entry.session
        if is_free:
            taken = _stand(candidate, standing.consul, former, entry.modify_index if entry else 0)
            if taken:
                candidate.left.clear()  # whatever they locked is free
                return taken
            index = 0
        leads = "nobody leads, and it cannot be taken yet"
        if former and not is_free:
            leads = f"{former.who} leads since {former.since}"
        if leads != shown:
            candidate.report(f"waiting: {leads}")
            shown = leads
        if stopped.is_set() or (end_s is not None and candidate.clock() >= end_s):
            what = f"fleet {candidate.fleet} is not ours to write: {leads}"
            raise LeadershipLost.because(what, "leave it to that controller, or end it first")
        if is_free:
            stopped.wait(candidate.timing.lock_delay_s)  # nobody tells when a lock delay ends


def _stand(
    candidate: Candidate, consul: ConsulClient, former: Lead | None, modify_index: int
) -> Leadership | None:
    """Take the lock and all that goes with it; None where another was faster, or its lock delay still runs."""
    rights, timing = candidate.rights, candidate.timing
    lead = succeed(former, candidate.who, datetime.now(UTC).isoformat(timespec="seconds"))
    asked_s = candidate.clock()
    session = consul.create_session(rights.leader, timing.ttl_s, timing.lock_delay_s)
    try:
        index = consul.lock(rights.lock, lead.to_bytes(), session, modify_index)
    except RitiError as error:
        with suppress(RitiError):
            consul.destroy_session(session)
        if isinstance(error, Conflict):
            return None
        raise
    quick = replace(candidate.settings.consul, timeout_s=timing.renew_s)
    keeper = candidate.connect(replace(candidate.settings, consul=quick)).consul
    leadership = Leadership(candidate, lead, index, Hold(keeper, session, timing, candidate.clock, asked_s))
    try:
        leadership.begin()
    except BaseException:
        leadership.end()
        raise
    candidate.report(f"leading fleet {candidate.fleet}, epoch {lead.epoch}")
    return leadership


class Leadership:
    """The right to write, until it ends or is lost. Use it as a context: leaving it ends it.

    settings: the servers with this leadership's own tokens, each asking `check` before each write. epoch: higher than
    that of any leader before.
    """

    settings: Settings

    def __init__(self, candidate: Candidate, lead: Lead, index: int, hold: Hold) -> None:
        self.epoch = lead.epoch
        self._candidate, self._rights = candidate, candidate.rights
        self._lead, self._index, self._hold = lead, index, hold
        self._alive = {server: set(accessors) for server, accessors in lead.tokens.items()}
        self._own: dict[str, Issued] = {}
        self._ended = False

    @property
    def lead(self) -> Lead:
        """Who leads, since when, as which in the row."""
        return self._lead

    def check(self) -> None:
        """Raise LeadershipLost where another may lead by now, or the term is over; once so, always so."""
        self._hold.check()

    @property
    def left_s(self) -> float:
        """Seconds of its term that are left: end it between two cycles, before `check` ends it within one."""
        return self._hold.left_s

    def begin(self) -> None:
        """Revoke the tokens of all former leaders, make our own, and record them; only then may they be used."""
        policy, ttl_s = self._rights.leader, self._candidate.timing.token_ttl_s
        name = f"{policy} leader {self.epoch}"
        clients = self._open(self._candidate.settings, self._hold.check)
        found = {"nomad": clients.nomad.list_tokens(policy), "consul": clients.consul.list_tokens(policy)}
        for server, revoke in list_revokers(clients).items():
            self._alive[server] = self._alive.get(server, set()) | set(found.get(server, ()))
            for accessor in sorted(self._alive[server]):
                revoke(accessor)
                self._alive[server].remove(accessor)
        self._keep("nomad", clients.nomad.issue_token((policy,), name, ttl_s))
        self._keep("consul", clients.consul.issue_token((policy,), name, ttl_s))
        self._keep("vault", clients.vault.issue_token(policy, name, ttl_s))
        value = self._describe().to_bytes()
        self._index = clients.consul.lock(self._rights.lock, value, self._hold.session, self._index)
        secrets = {server: issued.secret for server, issued in self._own.items()}
        self.settings = arm(self._candidate.settings, self._hold.check, secrets)

    def end(self) -> None:
        """Revoke our tokens, and let the next one lead at once.

        Raises nothing: what could not be revoked stays named in the lock, which goes at the latest with its session.
        """
        if self._ended:
            return
        self._ended = True
        self._hold.stop()
        brief = shorten(self._candidate.settings, END_TIMEOUT_S)
        clients = self._candidate.connect(brief)
        with suppress(RitiError):
            clients = self._open(brief, None)  # else at least Consul's and Vault's
        for server, revoke in list_revokers(clients).items():
            if server in self._own:  # never another's: whoever leads by now has revoked the former ones
                with suppress(RitiError):
                    revoke(self._own[server].accessor)
                    self._alive[server].discard(self._own[server].accessor)
        with suppress(RitiError):
            value = self._describe().to_bytes()
            clients.consul.unlock(self._rights.lock, value, self._hold.session, self._index)
        self._candidate.left.add(self._hold.session)
        with suppress(RitiError):
            clients.consul.destroy_session(self._hold.session)
            self._candidate.left.discard(self._hold.session)

    def _open(self, settings: Settings, guard: Callable[[], None] | None) -> Clients:
        """The servers with the standing tokens, Nomad with the one that may revoke, which is read anew each time."""
        document = self._candidate.connect(settings).vault.read_document(self._rights.nomad_document)
        if document is None:
            what = f"Vault holds no token by which a leader of {self._candidate.fleet} can revoke its predecessor's"
            raise ServerError.because(what, "run `riti bootstrap` again")
        return self._candidate.connect(arm(settings, guard, {"nomad": document.data["token"]}))

    def _keep(self, server: str, issued: Issued) -> None:
        self._own[server] = issued
        self._alive[server].add(issued.accessor)

    def _describe(self) -> Lead:
        return replace(self._lead, tokens={server: tuple(sorted(one)) for server, one in self._alive.items()})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def list_revokers(clients: Clients) -> dict[str, Callable[[str], None]]:
    """How a token of each server is revoked, by its accessor."""
    return {
        "nomad": clients.nomad.revoke_token,
        "consul": clients.consul.revoke_token,
        "vault": clients.vault.revoke_token,
    }


def arm(settings: Settings, guard: Callable[[], None] | None, tokens: Mapping[str, str]) -> Settings:
    """The same servers, with these tokens (by server; else the same), asking guard before each write."""
    return Settings(
        **{
            server: replace(held, guard=guard, token=tokens.get(server, held.token))
            for server, held in vars(settings).items()
        }
    )


def shorten(settings: Settings, timeout_s: float) -> Settings:
    """The same servers, each given so long for an answer."""
    return Settings(**{server: replace(held, timeout_s=timeout_s) for server, held in vars(settings).items()})
