"""A box loses every answer once, and is killed at every moment, on its way in and at a renewal; on real servers.

Judged after each: one key is bound and no other ever was, and no token that a claim was given can do anything.
"""

from __future__ import annotations

import multiprocessing
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from ritilib.box.store import IDENTITY_CRT, IDENTITY_KEY, OVERLAY_KEY, REQUEST, Store
from tests.enroll.dying_box import run_dying
from tests.enroll.site import END_S, RENEWING, Site, wait_for
from tests.unit.enroll.boxes import SERIAL

MOST_MOMENTS = 100
FIRST = timedelta(0)
BOTH = pytest.mark.parametrize(
    ("off", "least"),  # of a whole run: at least so many fsyncs and requests
    [pytest.param(FIRST, 25, id="on its way in"), pytest.param(RENEWING, 15, id="at a renewal")],
)


def make_ready(site: Site, name: str, off: timedelta) -> Path:
    """A box that is about to ask for the first time, or (off) to renew; its card."""
    site.expect(name)
    wait_for(lambda: site.office.read_binding(name) is not None)
    card = site.write_card(name)
    if off:
        assert site.run(name, card).state == "in"
    site.gate.restart_count()
    return card


def read_kept(site: Site, name: str, off: timedelta) -> dict[str, bytes]:
    """What no cut may change: keys, and the request of a first enrollment; a renewal's next one is another."""
    data = site.folder / name
    files = (IDENTITY_KEY, OVERLAY_KEY) if off else (IDENTITY_KEY, OVERLAY_KEY, REQUEST)
    return {file: (data / file).read_bytes() for file in files if (data / file).exists()}


@BOTH
def test_every_lost_reply_is_read_again(site: Site, key: str, off: timedelta, least: int) -> None:
    """Each request of the run loses its answer once, on its way back."""
    with site.control():
        card = make_ready(site, f"{key}-whole", off)
        assert site.run(f"{key}-whole", card, off=off).state == "in"
        names = [f"{key}-{nth}" for nth in range(len(site.gate.passed))]
        for nth, name in enumerate(names):
            card = make_ready(site, name, off)
            before = Store(site.folder / name).read(IDENTITY_CRT)
            site.gate.is_lost = lambda number, nth=nth: number == nth  # type: ignore[misc]
            assert site.run(name, card, off=off).state == "in", nth
            site.gate.is_lost = lambda number: False
            assert Store(site.folder / name).read(IDENTITY_CRT) != before
            if not off:
                assert len({one.digest for one in [Store(site.folder / name).load().request] if one}) == 1
    print(f"{len(names)} requests lost their answers")
    for name in names:
        site.judge_bound(name, name)
    assert not site.list_claim_tokens()


@BOTH
def test_killed_after_every_fsync_and_every_request(site: Site, key: str, off: timedelta, least: int) -> None:
    spawner = multiprocessing.get_context("forkserver")
    spawner.set_forkserver_preload(["tests.enroll.dying_box"])
    names = list[str]()
    with site.control():
        for nth in range(MOST_MOMENTS):
            name = f"{key}-{nth}"
            card = make_ready(site, name, off)
            data = site.folder / name
            died = spawner.Process(target=run_dying, args=(nth, data, card, SERIAL, off))
            died.start()
            died.join(END_S)
            if died.exitcode == 0:
                break
            assert died.exitcode == -signal.SIGKILL, died.exitcode
            held = read_kept(site, name, off)
            assert site.run(name, card, off=off).state == "in", nth
            assert {file: (data / file).read_bytes() for file in held} == held
            names.append(name)
        else:
            raise AssertionError("it has more moments than anybody counted")
    print(f"killed at {len(names)} moments")
    assert len(names) > least
    for name in names:
        site.judge_bound(name, name)
    assert not site.list_claim_tokens()
