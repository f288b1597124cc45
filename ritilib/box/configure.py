"""Carries out what is decided about the box's configuration: one action at a time, each whole on the disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ritilib.box.candidate import Trial
from ritilib.box.decide import Confirm, GoBack, Rest, Try, counts, decide, must_wait
from ritilib.box.live import Configuration
from ritilib.box.swap import Generations, Refusal
from ritilib.box.word import Word
from ritilib.errors import RitiError

MOST_WORDS = 2000  # of a refusal, which is shown by `riti status`
TryOut = Callable[[Mapping[str, str], tuple[str, ...] | None], Trial]


class Configurer:
    """What the box holds, and what it is offered.

    try_out boots a configuration aside (candidate.try_candidate); read_word says what the watcher says now; tell is
    told what is done, in words.
    """

    def __init__(
        self,
        generations: Generations,
        try_out: TryOut,
        read_word: Callable[[], Word],
        tell: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._generations, self._try_out, self._read_word, self._tell = generations, try_out, read_word, tell
        self._monotonic, self._wall = monotonic, wall
        self.held = generations.recover()
        self._waited_s = 0.0
        self._seen_s = monotonic()
        self._tried: tuple[str, Trial] | None = None

    def step(self, offered: Configuration | None, word: Word) -> str:
        """Do what is to be done now; why the box is not (yet) on what it is offered, "" where it is.

        OSError where the disk does not take it.
        """
        now_s = self._monotonic()
        if counts(self.held, word):
            self._waited_s += now_s - self._seen_s
        self._seen_s = now_s
        match decide(self.held, offered, word, self._waited_s):
            case Rest(why):
                return why
            case Confirm():
                self.held = self._generations.confirm()
                self._tell(f"{self._name_current()} is in force")
                return ""
            case GoBack(to, why):
                return self._go_back(to, why)
            case Try(made, usual):
                return self._try(made, usual)

    def _go_back(self, to: str, why: str) -> str:
        assert self.held.current is not None
        bad = self.held.current.identity
        self._generations.refuse(self._refusal(bad, why))
        self.held = self._generations.switch(to)
        self._waited_s = 0.0
        self._tell(f"{bad} was not taken over ({why}): back to {to}")
        return why

    def _try(self, made: Configuration, usual: tuple[str, ...] | None) -> str:
        if self._tried is None or self._tried[0] != made.identity:
            self._tell(f"{made.identity} is tried")
            try:
                self._tried = made.identity, self._try_out(made.asterisk, usual)
            except RitiError as error:
                why = "; ".join(problem.what for problem in error.problems)
                self.held = self._generations.refuse(self._refusal(made.identity, why))
                self._tell(f"{made.identity} is refused: {why}")
                return why
            finally:
                self._seen_s = self._monotonic()
        if must_wait(self.held.current, made, self._read_word()):
            return "waits for the end of a call: Asterisk must start anew"
        _, trial = self._tried
        self._generations.stage(made, trial.complaints)
        self.held = self._generations.switch(made.identity)
        self._tried, self._waited_s = None, 0.0
        self._tell(f"{made.identity} is put in force, after {trial.seconds:.2f} s aside")
        return "waits until it is in force"

    def _refusal(self, identity: str, why: str) -> Refusal:
        return Refusal(identity, why[:MOST_WORDS], int(self._wall()))

    def _name_current(self) -> str:
        return self.held.current.identity if self.held.current else "nothing"
