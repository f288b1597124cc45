"""Many boxes in one process (`python -m bench.lab.crowd`): each joins, and follows a key as its agent does.

The first line of its input is what it is given, then each line is one thing to do, and each is answered by a line:
`join`, `follow JITTER` (1.0 as it is, 0.0 without), `back TIME` (all have their answers; counted is what was asked
since that Unix time), `told VALUE` (all know the key's new value), `stop`.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.lab.direct import Behind, CountedGateway, DirectGateway, Ledger, Turns
from bench.lab.offices import name_box, name_serial
from ritilib.box.clock import Clock, find_window
from ritilib.box.follow import Follower
from ritilib.box.gateway import Gateway
from ritilib.box.join import Card, Joiner
from ritilib.box.own import Access, GatewayOwn
from ritilib.box.store import IDENTITY_CRT, IDENTITY_KEY, Store
from ritilib.enroll.card import Join
from ritilib.enroll.claim import peek_claim
from ritilib.render.names import EnrollmentNames

AT_A_TIME = 8
ASKING = 64  # at once, of each process; the server answers a few at a time anyway
SWITCH_S = (
    0.1  # threads that wait for Python's lock look for it so often, and 5 ms of thousands is all that is done
)
STACK_BYTES = 512 * 1024  # of each thread; 8 MB times ten thousand are 80 GB of addresses
LOOK_EVERY_S = 0.1
HELD_S = 2.0  # a request that has not been answered for so long is a blocking query that Consul holds


@dataclass
class Box:
    """One box; state is where it ended, in_at when (Unix time)."""

    number: int
    card: Card
    store: Store
    ledger: Ledger = field(default_factory=Ledger)
    state: str = ""
    in_at: float = 0.0
    told: bytes = b""

    @property
    def files(self) -> tuple[Path, Path]:
        return self.store.data / IDENTITY_CRT, self.store.data / IDENTITY_KEY


class Crowd:
    """All boxes of this process."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given, self._turns = given, Turns(AT_A_TIME, ASKING)
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self.boxes = [self._make(number, claim) for number, claim in given["claims"]]

    def join(self) -> dict[str, Any]:
        """All at once, until all have ended."""
        began = time.time()
        self._start(self._join)
        for thread in self._threads:
            thread.join()
        return {
            "states": Counter(box.state for box in self.boxes),
            "in_at": [box.in_at for box in self.boxes],
            **self._sum_up(began),
        }

    def follow(self, jitter: float) -> dict[str, Any]:
        """All begin to follow, and go on."""
        self._stopped = threading.Event()
        chance = (lambda: random.random() * jitter) if jitter < 1 else random.random
        self._start(lambda box: self._follow(box, chance))
        return {}

    def wait_back(self, since: float) -> dict[str, Any]:
        """Until each was answered or is held. back_at: when it sent the first request of those from which on none
        failed."""
        while not all(self._is_back(box) for box in self.boxes):
            time.sleep(LOOK_EVERY_S)
        return {"back_at": [find_back(box.ledger) for box in self.boxes], **self._sum_up(since)}

    def wait_told(self, value: bytes) -> dict[str, Any]:
        """Until each was told of this value."""
        while not all(box.told == value for box in self.boxes):
            time.sleep(LOOK_EVERY_S)
        return {"told_at": time.time()}

    def stop(self) -> dict[str, Any]:
        """Followers end as a process does: whatever they wait for is not waited for."""
        self._stopped.set()
        self._threads = []
        for box in self.boxes:
            box.ledger, box.told = Ledger(), b""
        return {}

    def _make(self, number: int, claim: str) -> Box:
        said, names = self._given, name_box(number)
        join = Join(
            fleet=names.fleet,
            fleet_id=said["fleet_id"],
            unit=names.key,
            gateway=[said["gateway"]],
            ca=said["ca"],
        )
        store = Store(Path(said["folder"]) / names.job_id)
        return Box(number, Card(join, peek_claim(claim), claim, name_serial(number), "bench"), store)

    def _open(self, box: Box) -> Gateway:
        clock = Clock(find_window(box.card.claim, box.store.read(IDENTITY_CRT)))
        if self._given["is_direct"]:
            behind = Behind(*self._given["behind"][:2], *map(Path, self._given["behind"][2:]))
            return DirectGateway(behind, clock, box.ledger, self._turns)
        return CountedGateway(box.card.join.gateway, box.card.join.ca, clock, box.ledger, self._turns)

    def _start(self, do: Any) -> None:
        def run(box: Box) -> None:
            with self._turns:
                do(box)

        self._threads = [threading.Thread(target=run, args=(box,), daemon=True) for box in self.boxes]
        for thread in self._threads:
            thread.start()

    def _join(self, box: Box) -> None:
        gateway = self._open(box)
        servers = GatewayOwn(gateway, box.card.join.names)
        clock = Clock(find_window(box.card.claim, ""))

        def sleep(seconds: float) -> None:
            self._turns.away(lambda: time.sleep(seconds))

        joiner = Joiner(box.store, servers, box.card, clock, lambda shown: None, sleep)
        box.state = joiner.run().state
        box.in_at = time.time()
        joiner.close()
        gateway.close()

    def _follow(self, box: Box, chance: Any) -> None:
        def connect() -> GatewayOwn:
            gateway = self._open(box)
            gateway.use_certificate(*box.files)
            return GatewayOwn(gateway, box.card.join.names)

        def tell(value: bytes, *_: Any) -> None:
            box.told = value

        access = Access(connect, lambda: True, random=chance)
        access.certify()
        key = EnrollmentNames(box.card.join.fleet).blocked
        stopped = _OutOfTurn(self._stopped, self._turns)
        Follower(access, key, tell, lambda words: None, stopped, chance).run()

    def _is_back(self, box: Box) -> bool:
        if not box.ledger.sent:
            return False
        last = box.ledger.sent[-1]
        return bool(box.told) and (
            last.result == "ok" or (not last.result and time.time() - last.at > HELD_S)
        )

    def _sum_up(self, began: float) -> dict[str, Any]:
        sent = [one for box in self.boxes for one in box.ledger.sent if one.at >= began]
        return {
            "began": began,
            "results": Counter(one.result or "held" for one in sent),
            "answered_at": [round(one.at, 2) for one in sent if one.result != "lost"],
        }


class _OutOfTurn(threading.Event):
    """An event that is waited for out of turn."""

    def __init__(self, event: threading.Event, turns: Turns) -> None:
        super().__init__()
        self._event, self._turns = event, turns

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        return bool(self._turns.away(lambda: self._event.wait(timeout)))


def find_back(ledger: Ledger) -> float:
    """When the first request was sent after the last one that failed."""
    back = 0.0
    for one in reversed(ledger.sent):
        if one.result not in ("ok", ""):
            break
        back = one.at
    return back


def main() -> None:
    threading.stack_size(STACK_BYTES)
    sys.setswitchinterval(SWITCH_S)
    crowd = Crowd(json.loads(sys.stdin.readline()))
    acts = {
        "join": lambda said: crowd.join(),
        "follow": lambda said: crowd.follow(float(said)),
        "back": lambda said: crowd.wait_back(float(said)),
        "told": lambda said: crowd.wait_told(said.encode()),
        "stop": lambda said: crowd.stop(),
    }
    print("{}", flush=True)
    for line in sys.stdin:
        act, _, said = line.strip().partition(" ")
        print(json.dumps(acts[act](said)), flush=True)


if __name__ == "__main__":
    main()
