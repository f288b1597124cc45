"""What others change wakes the loop; what fails is told and tried again; the threads end when they are told to."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ritilib.clients.consul_values import Entry
from ritilib.errors import RitiError, Unreachable
from ritilib.reconcile.backoff import Backoff
from ritilib.sync import drift
from ritilib.sync.drift import (
    Watch,
    follow_hooks,
    follow_suspensions,
    follow_turns,
    follow_values,
    watch_drift,
)
from ritilib.sync.observe import Places
from ritilib.sync.passing import pass_on
from ritilib.sync.pausing import resume, suspend
from ritilib.sync.wake import Wakeups
from tests.fakes.consul import FakeConsul
from tests.unit.clients.test_nomad_events import make_line, make_settings
from tests.unit.http_script import Script, serve_script

PREFIX = "riti/lab/pbx/"
NEXT_S = 20


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "AGAIN", Backoff(first_s=0.01, longest_s=0.02))
    monkeypatch.setattr(drift, "PAUSE_S", 0.01)
    monkeypatch.setattr(drift, "WAIT_S", 0.2)


@pytest.fixture
def wakeups() -> Wakeups:
    return Wakeups()


@pytest.fixture
def start_watch() -> Iterator[Callable[[Callable[[Watch], None]], queue.Queue[RitiError]]]:
    """Starts a watch that follows so; gives what it reports. It ends with the test."""
    started: list[Watch] = []

    def start(follow: Callable[[Watch], None]) -> queue.Queue[RitiError]:
        said: queue.Queue[RitiError] = queue.Queue()
        watch = Watch("watch", follow, lambda: None, lambda _, error: said.put(error))
        started.append(watch)
        watch.start()
        return said

    yield start
    for watch in started:
        watch.stop()
        assert watch.join()


@pytest.fixture
def watch_consul(start_watch, wakeups: Wakeups) -> Callable[[FakeConsul], queue.Queue[RitiError]]:
    """Starts a watch of a fake Consul's values; gives what it reports."""
    return lambda consul: start_watch(lambda one: follow_values(one, consul, PREFIX, wakeups))


def test_a_value_written_made_or_deleted_by_hand_wakes(watch_consul, wakeups: Wakeups) -> None:
    consul = FakeConsul()
    index = consul.write(f"{PREFIX}acme/salto/1", b"1", 0)
    watch_consul(consul)
    assert wakeups.wait(NEXT_S) == {"drift"}
    index = consul.write(f"{PREFIX}acme/salto/1", b"2", index)
    assert wakeups.wait(NEXT_S) == {"drift"}
    consul.write(f"{PREFIX}acme/rivera/1", b"2", 0)
    assert wakeups.wait(NEXT_S) == {"drift"}
    consul.delete(f"{PREFIX}acme/salto/1", index)
    assert wakeups.wait(NEXT_S) == {"drift"}


def test_what_others_write_elsewhere_does_not_wake(watch_consul, wakeups: Wakeups) -> None:
    consul = FakeConsul()
    watch_consul(consul)
    assert wakeups.wait(NEXT_S) == {"drift"}
    for number in range(5):
        consul.write(f"riti/lab/inventory/{number}", b"1", 0)
    asked = len(consul.journal.requests)
    while len(consul.journal.requests) < asked + 3:
        assert wakeups.wait(0.05) == {"timer"}


@pytest.fixture
def watch_suspensions(start_watch, wakeups: Wakeups) -> Callable[[FakeConsul], queue.Queue[RitiError]]:
    """Starts a watch of what is suspended in the fleet `demo`."""
    return lambda consul: start_watch(lambda one: follow_suspensions(one, consul, Places("demo"), wakeups))


def test_a_suspension_that_is_written_changed_or_lifted_wakes_and_nothing_else(
    watch_suspensions, wakeups: Wakeups
) -> None:
    consul = FakeConsul()
    owner = consul.write("riti/demo/inventory/_fleet", b"{}", 0)
    watch_suspensions(consul)
    assert wakeups.wait(NEXT_S) == {"drift"}  # what came before is not known to be new
    now = datetime(2026, 11, 25, tzinfo=UTC)
    suspend(consul, "demo", "acme", "it rains in", "ana", now)
    assert wakeups.wait(NEXT_S) == {"suspension"}
    suspend(consul, "demo", "acme", "it still does", "ana", now)
    assert wakeups.wait(NEXT_S) == {"suspension"}
    resume(consul, "demo", "acme", "ana", now)
    assert wakeups.wait(NEXT_S) == {"suspension"}
    consul.write("riti/demo/inventory/_fleet", b"{ }", owner)
    consul.write("riti/demo/inventory/acme/salto", b"{}", 0)
    suspend(consul, "other", "", "another fleet", "ana", now)
    asked = len(consul.journal.requests)
    while len(consul.journal.requests) < asked + 3:
        assert wakeups.wait(0.05) == {"timer"}


@pytest.fixture
def watch_hooks(start_watch, wakeups: Wakeups) -> Callable[[FakeConsul], queue.Queue[RitiError]]:
    """Starts a watch of the webhooks that other instances of the fleet `demo` pass on."""
    return lambda consul: start_watch(lambda one: follow_hooks(one, consul, Places("demo").wake, wakeups))


def test_a_webhook_that_another_instance_got_has_git_looked_at(watch_hooks, wakeups: Wakeups) -> None:
    consul = FakeConsul()
    watch_hooks(consul)
    assert wakeups.wait(NEXT_S) == {"webhook"}  # one may have come while nobody led
    now = datetime(2026, 11, 25, tzinfo=UTC)
    for second in range(3):
        pass_on(consul, "demo", "host:1", now + timedelta(seconds=second))
        assert wakeups.wait(NEXT_S) == {"webhook"}
    pass_on(consul, "other", "host:1", now)
    consul.write("riti/demo/inventory/acme/salto", b"{}", 0)
    asked = len(consul.journal.requests)
    while len(consul.journal.requests) < asked + 3:
        assert wakeups.wait(0.05) == {"timer"}


def test_a_consul_that_was_restored_is_followed_from_its_new_index(watch_consul, wakeups: Wakeups) -> None:
    consul = FakeConsul()
    consul.index = 1000
    consul.write(f"{PREFIX}acme/salto/1", b"1", 0)
    watch_consul(consul)
    assert wakeups.wait(NEXT_S) == {"drift"}
    with consul.moved:
        consul.entries.clear()
        consul.index = 5
        consul.moved.notify_all()
    assert wakeups.wait(NEXT_S) == {"drift"}
    consul.write(f"{PREFIX}acme/salto/1", b"1", 0)
    assert wakeups.wait(NEXT_S) == {"drift"}


def test_a_key_of_instances_that_is_lost_wakes_and_what_instances_write_does_not(
    wakeups: Wakeups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "TURNS_PAUSE_S", 0.01)
    consul, places = FakeConsul(), Places("lab")
    salto, rivera = f"{places.generations}acme/salto", f"{places.generations}acme/rivera"
    index = consul.write(salto, b"1", 0)
    watch = Watch(
        "turns",
        lambda one: follow_turns(one, consul, places.generations, wakeups),
        lambda: None,
        lambda *_: None,
    )
    watch.start()
    try:
        assert wakeups.wait(NEXT_S) == {"turns"}
        index = consul.write(salto, b"2", index)
        consul.write(rivera, b"1", 0)
        asked = len(consul.journal.requests)
        while len(consul.journal.requests) < asked + 3:
            assert wakeups.wait(0.05) == {"timer"}
        consul.delete(salto, index)
        assert wakeups.wait(NEXT_S) == {"turns"}
        with consul.moved:
            consul.deleted.clear()  # restored
            consul.entries[rivera] = Entry(rivera, b"0", 1)
            consul.moved.notify_all()
        assert wakeups.wait(NEXT_S) == {"turns"}
    finally:
        watch.stop()
        assert watch.join()


def test_a_consul_that_fails_is_told_and_the_gap_is_looked_at(
    watch_consul, wakeups: Wakeups, monkeypatch: pytest.MonkeyPatch
) -> None:
    consul = FakeConsul()
    working = consul.list_keys
    is_away = threading.Event()

    def fail(*asked):
        if is_away.is_set():
            raise Unreachable.because("no answer", "wait")
        return working(*asked)

    monkeypatch.setattr(consul, "list_keys", fail)
    said = watch_consul(consul)
    assert wakeups.wait(NEXT_S) == {"drift"}
    is_away.set()
    assert isinstance(said.get(timeout=NEXT_S), Unreachable)
    assert isinstance(said.get(timeout=NEXT_S), Unreachable)
    is_away.clear()
    assert wakeups.wait(NEXT_S) == {"drift"}


@pytest.fixture
def script() -> Iterator[Script]:
    with serve_script() as served:
        yield served


def next_stream(script: Script):
    """The next connection that follows jobs; Consul's questions, at the same address, stay unanswered."""
    while "/v1/event/stream" not in (asked := script.next()).head:
        pass
    return asked


def test_jobs_of_this_fleet_wake_and_others_do_not(script: Script, wakeups: Wakeups) -> None:
    said: queue.Queue[str] = queue.Queue()
    with watch_drift("lab", make_settings(script.url), wakeups, lambda name, _: said.put(name), Wakeups()):
        asked = next_stream(script)
        asked.open_stream()
        asked.send_chunk(b"{}\n")
        assert wakeups.wait(NEXT_S) == {"drift"}
        asked.send_chunk(make_line(8, "lab2--acme--salto", "laboratory"))
        asked.send_chunk(make_line(9, "lab--acme--salto"))
        assert wakeups.wait(NEXT_S) == {"drift"}
        assert wakeups.wait(0) == {"timer"}
        asked.close()
        while said.get(timeout=NEXT_S) != "nomad-jobs":
            pass
        again = next_stream(script)
        assert "index=10" in again.head
        again.open_stream()
        again.send_chunk(b"{}\n")
        assert wakeups.wait(NEXT_S) == {"drift"}


def test_watches_that_wait_end_when_they_are_told_to(script: Script, wakeups: Wakeups) -> None:
    before = threading.active_count()
    with watch_drift("lab", make_settings(script.url), wakeups, lambda *_: None, Wakeups()) as watches:
        assert {script.next().head.split()[1].split("?")[0] for _ in range(6)} == {
            "/v1/event/stream",
            "/v1/kv/riti/lab/pbx/",
            "/v1/kv/riti/lab/inventory/_",
            "/v1/kv/riti/lab/enroll",
            "/v1/kv/riti/lab/generation/",
            "/v1/kv/riti/lab/wake",
        }
        assert threading.active_count() == before + 6
    assert all(watch.join() for watch in watches) and threading.active_count() == before


def test_watches_end_while_they_pause_after_a_failure(
    wakeups: Wakeups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "AGAIN", Backoff(first_s=3600, longest_s=3600))
    said: queue.Queue[str] = queue.Queue()
    settings = make_settings("http://127.0.0.1:1")
    with watch_drift("lab", settings, wakeups, lambda name, _: said.put(name), Wakeups()) as watches:
        told = {said.get(timeout=NEXT_S) for _ in range(6)}
        assert told == {
            "consul-values",
            "nomad-jobs",
            "suspensions",
            "enrollment",
            "turns",
            "hooks-passed-on",
        }
    assert all(watch.join() for watch in watches)
