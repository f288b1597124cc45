"""Carries a box's steps out, one after another, until it is in; every answer may be lost, and the power too."""

from __future__ import annotations

import random as chance
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from ritilib.box.clock import Clock, find_window
from ritilib.box.device import prove_device
from ritilib.box.gateway import Busy
from ritilib.box.identity import make_identity, make_overlay_key, make_random, make_request
from ritilib.box.kept import Kept
from ritilib.box.servers import Servers
from ritilib.box.showing import STOPS, Shown, State, find_state
from ritilib.box.steps import Known, Standing, Step, choose, find_copy, find_standing, next_step, settle
from ritilib.box.store import IDENTITY_CRT, IDENTITY_KEY, STATUS, Store
from ritilib.enroll.card import Join
from ritilib.enroll.claim import Claim
from ritilib.enroll.reply import read_reply
from ritilib.errors import Denied, RitiError, Unreachable
from ritilib.reconcile.backoff import Backoff, Random

# the public key (PEM) that the card names as the device's own, and words → a JWS of them by that key
Prove = Callable[[str, bytes], str]
TRIES = 3  # in a row without an answer, before a run that does not wait gives up
_PAUSE_S = 1.0  # at the most, between two looks at a key that has not changed: others' keys wake a wait too


@dataclass(frozen=True)
class Card:
    """What the card says, and what the box is; claim_text is the claim as it stands there."""

    join: Join
    claim: Claim
    claim_text: str = field(repr=False)
    serial: str = ""
    image: str = ""


class Joiner:
    """One box on its way in. show is told whenever how far it is has changed."""

    def __init__(
        self,
        store: Store,
        servers: Servers,
        card: Card,
        clock: Clock,
        show: Callable[[Shown], None],
        sleep: Callable[[float], None] = time.sleep,
        random: Random = chance.random,
        backoff: Backoff | None = None,
        prove: Prove = prove_device,
    ) -> None:
        self._store, self._servers, self._card, self._clock = store, servers, card, clock
        self._show, self._sleep, self._random, self._prove = show, sleep, random, prove
        self._backoff = backoff or Backoff(first_s=1.0, longest_s=300.0, share=1.0)
        self._known = Known()
        self._shown: Shown | None = None

    def run(self, is_once: bool = False) -> Shown:
        """Go on until the box is in and has its configuration, or must stop; how far it came.

        is_once: end too where it would wait for a person, for its configuration, or for a server that does not answer.
        Raises OSError where the disk fails, and RitiError where it holds what no box wrote.
        """
        failures = 0
        # an agent runs for years, and each of its runs may find the certificate due
        self._known = replace(self._known, has_renewed=False)
        while True:
            kept = self._store.load()
            step = next_step(kept, self._known, self._card.claim, self._clock.now())
            shown = self._tell(kept, *find_state(step, self._known, kept.reply is not None))
            if step in STOPS or step is Step.REST:
                return shown
            if is_once and (shown.state == "waiting" or (shown.state == "unconfigured" and failures)):
                return shown
            try:
                is_moved = self._take(step, kept)
            except RitiError as error:
                failures += 1
                shown = self._fail(kept, step, error)
                if next_step(kept, self._known, self._card.claim, self._clock.now()) in STOPS:
                    continue  # the gateway's time, or what was refused, has decided it
                if is_once and (failures >= TRIES or shown.state in ("not-accepted", "shut-out")):
                    return shown
                told_s = error.pause_s if isinstance(error, Busy) else 0.0
                self._sleep(told_s + self._backoff.delay(failures, self._random))
                continue
            if is_moved:
                failures = 0
            elif step is Step.READ_DOCUMENT:  # Vault has no wait, and the box is in already
                failures += 1
                if not is_once:
                    self._sleep(self._backoff.delay(failures, self._random))
            else:
                self._sleep(_PAUSE_S * self._random())

    def close(self) -> None:
        """Give the tokens back, as far as somebody answers; they end within an hour anyway."""
        known, self._known = self._known, Known()
        for token in (known.claim_token, known.box_token):
            self._end(self._servers.end_consul, token)
        self._end(self._servers.end_vault, known.vault_token)

    def _take(self, step: Step, kept: Kept) -> bool:
        """Do one step; whether anything is another than before."""
        store, names = self._store, self._card.join.names
        match step:
            case Step.MAKE_IDENTITY:
                make_identity(store)
            case Step.MAKE_OVERLAY_KEY:
                make_overlay_key(store)
            case Step.CHOOSE_GENERATION:
                store.keep_generation(choose(kept, self._card.claim, make_random()))
                self._known = self._known.forget_request()
            case Step.MAKE_REQUEST:
                card, claim = self._card, self._card.claim_text if kept.generation.claim_id else None
                now = self._clock.now() or datetime.fromtimestamp(0, UTC)
                otp = card.claim.otp if claim else None
                prove = partial(self._prove, otp) if otp else None
                make_request(store, names.job_id, kept.generation, claim, card.serial, card.image, now, prove)
            case Step.KEEP_REPLY:
                assert self._known.answer is not None
                store.keep_reply(self._known.answer)
            case Step.WRITE_FILES:
                assert kept.reply is not None
                store.keep_files(kept.reply)
                self._clock.move(find_window(self._card.claim, kept.reply.identity))
                self._forget_sign_in()
            case Step.SETTLE:
                store.keep_generation(settle(kept.generation))
                self._known = replace(self._known, is_advanced=False, has_renewed=True)
            case _:
                return self._ask(step, kept)
        return True

    def _ask(self, step: Step, kept: Kept) -> bool:
        """Do one step that is a request; whether it brought anything new."""
        servers, known = self._servers, self._known
        match step:
            case Step.LOGIN_BY_CLAIM:
                self._known = replace(known, claim_token=servers.login_by_claim(self._card.claim_text))
            case Step.LOGIN_BY_CERTIFICATE:
                servers.use_certificate(self._store.data / IDENTITY_CRT, self._store.data / IDENTITY_KEY)
                self._known = replace(known, vault_token=servers.login_by_certificate())
            case Step.TAKE_JWT:
                self._known = replace(known, jwt=servers.take_jwt(known.vault_token))
            case Step.LOGIN_BY_JWT:
                self._known = replace(known, box_token=servers.login_by_jwt(known.jwt), jwt="")
            case Step.END_CLAIM:
                self._known = replace(known, claim_token="")
                self._end(servers.end_consul, known.claim_token)
            case Step.READ_REQUEST:
                return self._look(kept)
            case Step.PUT_REQUEST:
                self._put_request(kept)
            case Step.WAIT_REPLY:
                return self._wait_reply(kept)
            case Step.ADVANCE:
                self._advance(kept)
            case Step.READ_DOCUMENT:
                self._known = replace(known, has_document=servers.has_document(known.vault_token))
                return self._known.has_document
        return True

    def _token(self, kept: Kept) -> str:
        is_renewal = kept.request is not None and kept.request.is_renewal
        return self._known.box_token if is_renewal else self._known.claim_token

    def _look(self, kept: Kept) -> bool:
        key, known = self._card.join.names.enroll_request, self._known
        found = self._servers.read(self._token(kept), key)
        standing = find_standing(kept, found.data if found.is_there else None)
        has_put = known.has_put or standing is Standing.OURS
        # what this box put is looked at once more before it asks: nothing else tells it that Consul was restored
        self._known = replace(
            known, standing=standing, request_index=found.index, has_put=has_put, is_advanced=False
        )
        is_gone = known.has_put and standing in (Standing.NOTHING, Standing.PREVIOUS)
        if is_gone and not self._is_final(kept):  # somebody else's answer lies where ours was
            self._known = replace(self._known, standing=None, has_put=False, has_looked=False)
            return False
        return standing is not known.standing

    def _is_final(self, kept: Kept) -> bool:
        answer = self._known.answer
        is_ours = answer is not None and kept.request is not None and answer.request == kept.request.digest
        return is_ours and answer is not None and answer.state in ("denied", "conflict")

    def _put_request(self, kept: Kept) -> None:
        assert kept.request is not None
        key, known = self._card.join.names.enroll_request, self._known
        objects = known.has_objected or known.standing is Standing.FOREIGN
        self._known = replace(known, standing=None, has_objected=objects)
        if self._servers.put(self._token(kept), key, kept.request.data, known.request_index):
            self._known = replace(self._known, standing=Standing.OURS, has_put=True)

    def _wait_reply(self, kept: Kept) -> bool:
        key, known = self._card.join.names.enroll_reply, self._known
        moved = known.answer_moved if known.has_looked else 0  # 0: what is there now
        found = self._servers.watch(self._token(kept), key, moved)
        # an index that goes backwards (Consul was restored) is waited from anew
        going = found.moved if found.moved >= moved else 0
        answer = read_reply(found.data) if found.data else None  # empty: it was made to be waited at
        is_new = not known.has_looked or (answer is not None and answer != known.answer)
        self._known = replace(known, answer=answer, answer_moved=going, has_looked=True)
        is_others = answer is not None and kept.request is not None and answer.request != kept.request.digest
        if not is_new or is_others or self._is_final(kept):
            # whether our request is there still, or somebody's is, or it was answered by the same as before
            self._known = replace(self._known, standing=None)
        return is_new

    def _advance(self, kept: Kept) -> None:
        key, generation = self._card.join.names.box_generation, kept.generation
        found = self._servers.read(self._known.box_token, key)
        said = found.data.decode(errors="replace")
        if said == generation.next:
            self._known = replace(self._known, is_advanced=True)
        elif find_copy(generation, said):
            self._known = replace(self._known, is_copied=True)
        else:  # and what is there then is looked at before it counts
            self._servers.put(self._known.box_token, key, generation.next.encode(), found.index)

    def _fail(self, kept: Kept, step: Step, error: RitiError) -> Shown:
        """Learn from a step that failed: what was known before it may be so no more."""
        known = replace(self._known, standing=None, is_advanced=False)
        self._known = known
        if isinstance(error, Denied):  # a token that has ended, or a role that is gone: begin with another
            is_refused = step is Step.LOGIN_BY_CLAIM and known.has_objected
            self._known = replace(known.forget_request(), claim_token="", is_refused=is_refused)
            self._known = replace(self._known, has_objected=known.has_objected, is_copied=known.is_copied)
            self._forget_sign_in()
        state, why = explain(step, error, kept.reply is not None)
        return self._tell(kept, state, why)

    def _forget_sign_in(self) -> None:
        self._known = replace(self._known, vault_token="", jwt="", box_token="")

    def _end(self, end: Callable[[str], None], token: str) -> None:
        try:
            if token:
                end(token)
        except RitiError:
            return  # it ends by itself

    def _tell(self, kept: Kept, state: State, why: str) -> Shown:
        key = kept.thumbprint[:8]
        shown = Shown(state, self._card.join.unit, self._card.serial, key, why)
        if shown != self._shown:
            before, self._shown = self._shown, shown
            self._store.show(STATUS, shown.encode())
            if before is None or before.words != shown.words:
                self._show(shown)
        return shown


def explain(step: Step, error: RitiError, is_bound: bool) -> tuple[State, str]:
    """How far a box is whose step failed so, and what is behind it."""
    if isinstance(error, Unreachable):
        return "no-answer", error.problems[0].what
    if not isinstance(error, Denied):
        return "trouble", error.problems[0].what
    if step in (Step.LOGIN_BY_CLAIM, Step.LOGIN_BY_CERTIFICATE, Step.LOGIN_BY_JWT):
        return ("shut-out" if is_bound else "not-accepted"), ""
    return ("let-in" if is_bound else "asking"), ""  # the token has ended, and the next is asked for
