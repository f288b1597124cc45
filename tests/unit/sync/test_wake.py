"""The place where the loop waits."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

from ritilib.sync.wake import Wakeups


def test_reasons_that_came_before_are_given_at_once_and_once_each() -> None:
    wakeups = Wakeups()
    for _ in range(3):
        wakeups.wake("drift")
    wakeups.wake("webhook")
    assert wakeups.wait(60) == {"drift", "webhook"}
    assert wakeups.wait(0) == {"timer"}


def test_whoever_waits_is_woken_from_another_thread() -> None:
    wakeups = Wakeups()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wakeups.wait, 60)
        wakeups.wake("git")
        assert waiting.result(timeout=20) == {"git"}


def test_time_is_a_reason() -> None:
    assert Wakeups().wait(0.01) == {"timer"}


def test_closing_lets_everybody_go_and_keeps_nothing() -> None:
    wakeups = Wakeups()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(wakeups.wait, 60) for _ in range(2)]
        wakeups.close()
        assert [one.result(timeout=20) for one in waiting] == [frozenset(), frozenset()]
    wakeups.wake("drift")
    assert wakeups.wait(60) == frozenset() and wakeups.is_closed


def test_a_signals_handler_may_close_it_whatever_the_main_thread_is_doing() -> None:
    wakeups = Wakeups()
    before = signal.signal(signal.SIGUSR1, lambda *_: wakeups.close())
    try:
        main = threading.main_thread().ident
        assert main is not None
        kicker = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGUSR1))
        kicker.start()
        assert wakeups.wait(60) == frozenset()
        kicker.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_reason_that_nobody_has_taken_yet_is_known() -> None:
    wakeups = Wakeups()
    wakeups.wake("drift")
    assert not wakeups.is_told("suspension")
    wakeups.wake("suspension")
    assert wakeups.is_told("suspension")
    assert wakeups.wait(20) == {"drift", "suspension"}
    assert not wakeups.is_told("suspension")


def test_of_many_wakes_from_many_threads_none_is_lost() -> None:
    wakeups = Wakeups()
    reasons = ("git", "webhook", "drift", "retry")
    seen: set[str] = set()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(50):
            for reason in reasons:
                pool.submit(wakeups.wake, reason)
        while seen != set(reasons):
            seen |= wakeups.wait(20)
    assert wakeups.wait(0) <= {*reasons, "timer"}
