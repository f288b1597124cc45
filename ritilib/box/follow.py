"""Follows one key of Consul by blocking queries, for as long as the agent runs, and never asks in step with others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import random as any_random

from ritilib.box.gateway import Busy
from ritilib.box.own import Access, Asking, Document, OwnServers, Tokens
from ritilib.box.servers import Value
from ritilib.errors import RitiError
from ritilib.reconcile.backoff import Backoff, Random, spread

# Full jitter: 10,000 boxes that lost the gateway at the same moment come back over five minutes, and the first of
# them after a second's outage at once.
BACK = Backoff(first_s=1.0, longest_s=300.0, share=1.0)
Take = Callable[[bytes, OwnServers, Tokens], None]
PACE_S = 1.0  # at the most, between two answers that say nothing new, or that come in a row


class Follower:
    """tell is given the key's bytes, each time that they are others, and may ask the servers itself; where it raises it
    is told again later. complain is given what went wrong, "" when it is well again. poll_s: it asks in such pauses,
    and no query waits (0: one does)."""

    def __init__(
        self,
        access: Access,
        key: str,
        tell: Take,
        complain: Callable[[str], None],
        stopped: threading.Event,
        random: Random = any_random,
        backoff: Backoff = BACK,
        poll_s: float = 0.0,
    ) -> None:
        self._asking, self._access, self._key = Asking(access), access, key
        self._poll_s = poll_s
        self._tell, self._complain = tell, complain
        self._stopped, self._random, self._backoff = stopped, random, backoff
        self._moved = 0
        self._told: bytes | None = None

    def run(self) -> None:
        """Until stopped."""
        failures = 0
        while not self._stopped.is_set():
            if not self._access.wait_certified(PACE_S):
                continue
            try:
                self._asking.ask(self.step)
            except RitiError as error:
                failures += 1
                self._complain(error.problems[0].what)
                pause_s = error.pause_s if isinstance(error, Busy) else 0.0
                self._stopped.wait(pause_s + self._backoff.delay(failures, self._random))
                continue
            failures = 0
            self._complain("")
            pause_s = spread(self._poll_s, self._random, 0.5) if self._poll_s else PACE_S * self._random()
            self._stopped.wait(pause_s)

    def step(self, servers: OwnServers, tokens: Tokens) -> None:
        """One query, and what follows from it. A key that is not there is no instruction."""
        found: Value = servers.watch(tokens.consul, self._key, 0 if self._poll_s else self._moved)
        if self._stopped.is_set():  # while it waited: the disk may be another agent's by now
            return
        if found.is_there and found.data != self._told:
            self._tell(found.data, servers, tokens)
            self._told = found.data
        # only now: what was not understood because of a server is asked for again. An index that goes backwards (Consul
        # was restored) is waited from anew.
        self._moved = found.moved if found.moved >= self._moved else 0


def need_document(servers: OwnServers, tokens: Tokens) -> Document:
    """The box's document; RitiError where there is none yet."""
    found = servers.read_document(tokens.vault)
    if found is None:
        what = "the box's document is not in Vault"
        raise RitiError.because(what, "`riti sync` writes it")
    return found
