"""What is to be sent, in order, and the thread that sends it: nothing of it ever makes the loop wait.

Each channel (the forge, each address of notifications) has its own order, its own pace and its own back-off, so that
one that does not answer delays no other for longer than one request.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import random as any_random
from typing import Protocol

from ritilib.errors import Denied, RitiError, Unreachable
from ritilib.reconcile.backoff import Backoff, Random
from ritilib.sync.wake import Report
from ritilib.sync.web.metrics import Metrics

LIMIT = 200  # letters that wait: days of a fleet's merges, and less than a megabyte
AGAIN = Backoff(first_s=2.0, longest_s=300.0)
TRIES = 50  # of one letter, some hours: what its receiver never can take is not tried for ever
END_S = 2.0  # for what is left to be sent when it ends


class Channel(Protocol):
    """Somebody who is told. pace_s: the least time between two letters."""

    pace_s: float

    def send(self, letter: Letter) -> None:
        """Raises Unreachable or Denied where it may be tried again, another RitiError where it never will be taken."""

    def abort(self) -> None:
        """End what waits, now and from now on; from any thread."""


@dataclass(frozen=True)
class Letter:
    """One thing to be sent: what is for the channel to read.

    replaces: an older letter of the channel with the same word need not be sent any more ("": none). is_ours_alone: it
    is void as soon as another leads, who says the same of the newest commit. tries: those in vain so far.
    """

    channel: str
    what: object
    replaces: str = ""
    is_ours_alone: bool = False
    tries: int = 0


@dataclass
class _Standing:
    """A channel: attempts in vain in a row, and when the next is due (monotonic seconds)."""

    failures: int = 0
    due_s: float = 0.0


@dataclass
class Outbox:
    """Use it as a context: its thread runs while it lasts, and ends END_S and one broken-off request later at most."""

    channels: Mapping[str, Channel]
    metrics: Metrics
    report: Report
    limit: int = LIMIT
    backoff: Backoff = AGAIN
    end_s: float = END_S
    monotonic: Callable[[], float] = time.monotonic
    random: Random = any_random
    _letters: list[Letter] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._condition = threading.Condition()
        self._standing = {name: _Standing() for name in self.channels}
        self._in_hand: Letter | None = None
        self._is_void = False  # the letter in hand: another leads since it was taken
        self._hurry: set[str] = set()  # channels that try what they have at once, until one attempt fails
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="tell", daemon=True)

    def put(self, letter: Letter) -> None:
        """Have it sent, where there is such a channel. For want of room, the oldest letter is given up."""
        if letter.channel not in self.channels:
            return
        with self._condition:
            if self._is_closed:
                return
            self._letters = [one for one in self._letters if not _replaces(letter, one)]
            self._letters.append(letter)
            while len(self._letters) > self.limit:
                self._give_up(self._letters[0])
            self._condition.notify_all()

    def void(self) -> list[str]:
        """Another may lead: letters that are ours alone are not sent any more. What each of them would have replaced;
        the one that is just being sent is among them."""
        with self._condition:
            unsent = [one for one in self._letters if one.is_ours_alone]
            self._letters = [one for one in self._letters if not one.is_ours_alone]
            if self._in_hand is not None and self._in_hand.is_ours_alone:
                self._is_void = True
                unsent.append(self._in_hand)
            return [one.replaces for one in unsent]

    def flush(self) -> None:
        """Wait until everything was sent, or tried once more in vain; end_s at the most."""
        end_s = self.monotonic() + self.end_s
        with self._condition:
            if not self._thread.is_alive():
                return
            self._hurry = set(self.channels)
            self._condition.notify_all()
            while self._is_sending() and (left_s := end_s - self.monotonic()) > 0:
                self._condition.wait(left_s)
            self._hurry.clear()

    def __enter__(self) -> Outbox:
        if self.channels:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        with self._condition:
            self._is_closed = True
            for letter in list(self._letters):
                self._give_up(letter)
            self._condition.notify_all()
        for channel in self.channels.values():
            channel.abort()
        if self._thread.is_alive():
            self._thread.join()

    def _is_sending(self) -> bool:
        waiting = {letter.channel for letter in self._letters}
        return bool(waiting & self._hurry) or self._in_hand is not None

    def _run(self) -> None:
        while letter := self._take():
            try:
                self.channels[letter.channel].send(letter)
            except (Unreachable, Denied) as error:
                self._note_failed(letter, error, is_final=False)
            except RitiError as error:
                self._note_failed(letter, error, is_final=True)
            except Exception as error:  # a defect in one message must not silence all others for years
                self._note_failed(letter, RitiError.because(f"a defect: {type(error).__name__}", ""), True)
            else:
                self._note_sent(letter)

    def _take(self) -> Letter | None:
        """The next letter that is due, waiting for it; None where it is to end."""
        with self._condition:
            while not self._is_closed:
                now_s = self.monotonic()
                firsts: dict[str, Letter] = {}
                for letter in self._letters:
                    firsts.setdefault(letter.channel, letter)
                waits = {
                    name: 0.0 if name in self._hurry else max(0.0, self._standing[name].due_s - now_s)
                    for name in firsts
                }
                if ready := [name for name, left_s in waits.items() if left_s <= 0]:
                    # who has waited longest for its turn goes first, or a busy channel would keep all others waiting
                    name = min(ready, key=lambda one: self._standing[one].due_s)
                    self._in_hand, self._is_void = firsts[name], False
                    self._letters.remove(firsts[name])
                    return firsts[name]
                self._condition.wait(min(waits.values(), default=None))
            return None

    def _note_sent(self, letter: Letter) -> None:
        with self._condition:
            self._in_hand = None
            pace_s = self.channels[letter.channel].pace_s
            self._standing[letter.channel] = _Standing(0, self.monotonic() + pace_s)
            self.metrics.told.labels(_kind(letter), "sent").inc()
            self._condition.notify_all()

    def _note_failed(self, letter: Letter, error: RitiError, is_final: bool) -> None:
        with self._condition:
            self._in_hand = None
            self._hurry.discard(letter.channel)
            if not self._is_closed:
                self.metrics.told.labels(_kind(letter), "failed").inc()
            standing = self._standing[letter.channel]
            failures = standing.failures + (0 if is_final else 1)
            pause_s = self.channels[letter.channel].pace_s
            if not is_final:
                pause_s = self.backoff.delay(failures, self.random)
            self._standing[letter.channel] = _Standing(failures, self.monotonic() + pause_s)
            is_replaced = self._is_void or any(_replaces(one, letter) for one in self._letters)
            tried = replace(letter, tries=letter.tries + 1)
            if is_final or self._is_closed or tried.tries >= TRIES:
                self.metrics.told.labels(_kind(letter), "dropped").inc()
            elif not is_replaced:
                # notices keep their order; a status that the forge cannot take lets those of other commits pass
                self._letters.insert(len(self._letters) if letter.replaces else 0, tried)
                while len(self._letters) > self.limit:
                    self._give_up(self._letters[0])
            is_ending = self._is_closed
            self._condition.notify_all()
        if not is_ending:
            self.report("telling", error)

    def _give_up(self, letter: Letter) -> None:
        self._letters.remove(letter)
        self.metrics.told.labels(_kind(letter), "dropped").inc()


def _replaces(newer: Letter, older: Letter) -> bool:
    return bool(newer.replaces) and (newer.channel, newer.replaces) == (older.channel, older.replaces)


def _kind(letter: Letter) -> str:
    """ "forge" or "notify": a metric knows no addresses."""
    return letter.channel.partition("-")[0]
