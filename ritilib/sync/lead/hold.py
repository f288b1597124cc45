"""A session in Consul that is renewed in the background, and whether it may still be relied on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ritilib.clients.protocols import ConsulClient
from ritilib.errors import Conflict, LeadershipLost, ServerError
from ritilib.reconcile.leading import Timing, judge_hold


def read_clock() -> float:
    """Seconds of a clock that nobody sets and that counts on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Hold:
    """A session that is ours from asked_s (before it was asked for, by `clock`) until `stop`, or until it is lost."""

    def __init__(
        self, consul: ConsulClient, session: str, timing: Timing, clock: Callable[[], float], asked_s: float
    ) -> None:
        self.session = session
        self._consul, self._timing, self._clock = consul, timing, clock
        self._began_s = self._renewed_s = asked_s
        self._lost = ""
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="riti-leader", daemon=True)
        self._keeper.start()

    def check(self) -> None:
        """Raise LeadershipLost where the session may be gone or the term is over; once so, always so."""
        self._lost = self._lost or judge_hold(self._timing, self._began_s, self._renewed_s, self._clock())
        if self._lost:
            what = f"this controller leads no more: {self._lost}"
            raise LeadershipLost.because(what, "it wrote nothing since; whoever leads now goes on")

    @property
    def left_s(self) -> float:
        """What is left of the term; it says nothing of the session."""
        return self._timing.term_s - (self._clock() - self._began_s)

    def stop(self) -> None:
        """Renew no more, and lead no more."""
        self._lost = self._lost or "it ended"
        self._stop.set()
        self._keeper.join()

    def _keep(self) -> None:
        while not self._stop.wait(self._timing.renew_s):
            asked_s = self._clock()
            try:
                self.check()  # whoever slept too long does not come back
                self._consul.renew_session(self.session)
            except LeadershipLost:
                return
            except Conflict:
                self._lost = self._lost or "Consul has ended its session"
                return
            except ServerError:
                continue  # silence decides nothing: the clock does
            self._renewed_s = asked_s
