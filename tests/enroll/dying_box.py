"""A box's way in, in a process that is killed (SIGKILL) right after its nth fsync or request."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from urllib3 import HTTPSConnectionPool

from ritilib.box.clock import Clock, find_window
from ritilib.box.gateway import Gateway
from ritilib.box.join import Card, Joiner
from ritilib.box.servers import GatewayServers
from ritilib.box.showing import Shown
from ritilib.box.store import IDENTITY_CRT, Store
from ritilib.enroll.card import CLAIM_FILE, JOIN_FILE, read_card
from ritilib.reconcile.backoff import Backoff

QUICK = Backoff(first_s=0.05, longest_s=0.2, share=1.0)


def run_box(
    data: Path,
    card: Path,
    serial: str,
    is_once: bool = False,
    off: timedelta = timedelta(0),
    show: Callable[[Shown], None] = lambda shown: None,
    is_closing: bool = True,
) -> Shown:
    """As `riti join`, with a clock that is wrong by so much; how far it came."""
    text = (card / CLAIM_FILE).read_text()
    join, claim = read_card((card / JOIN_FILE).read_bytes(), text)
    store = Store(data)
    clock = Clock(find_window(claim, store.read(IDENTITY_CRT)), lambda: time.time() + off.total_seconds())
    gateway = Gateway(join.gateway, join.ca, clock)
    servers = GatewayServers(gateway, join.names, join.datacenter)
    box = Card(join, claim, text.strip(), serial, "riti-os test")
    joiner = Joiner(store, servers, box, clock, show, backoff=QUICK)
    try:
        shown = joiner.run(is_once)
        if is_closing:
            joiner.close()
        return shown
    finally:
        gateway.close()


def run_dying(nth: int, data: Path, card: Path, serial: str, off: timedelta) -> None:
    """The same, killed right after the nth of its moments, from 0 on; it ends by itself with 0 where it has fewer."""
    left = nth

    def count() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    sync, send = os.fsync, HTTPSConnectionPool.urlopen

    def dying_sync(file: int) -> None:
        sync(file)
        count()

    def dying_send(self: HTTPSConnectionPool, *args: Any, **named: Any) -> Any:
        answer = send(self, *args, **named)
        count()
        return answer

    os.fsync = dying_sync
    HTTPSConnectionPool.urlopen = dying_send  # type: ignore[method-assign]
    shown = run_box(data, card, serial, off=off, is_closing=False)
    os._exit(0 if shown.state == "in" else 1)
