"""What a leader relies on in Consul: one session at a time holds a key, and a value is bound to who holds it."""

from __future__ import annotations

import pytest

from ritilib.clients.protocols import ConsulClient
from ritilib.errors import Conflict

TTL_S = 600.0
NO_DELAY_S = 0.0
GONE = "00000000-0000-0000-0000-00000000dead"


def open_session(consul: ConsulClient, lock_delay_s: float = NO_DELAY_S) -> str:
    return consul.create_session("riti-test", TTL_S, lock_delay_s)


def test_the_first_locks_and_the_second_loses(consul: ConsulClient, fleet: str) -> None:
    key, first, second = f"riti/{fleet}/leader", open_session(consul), open_session(consul)
    index = consul.lock(key, b"first", first, 0)
    entry = consul.read(key)
    assert entry is not None
    assert (entry.value, entry.modify_index, entry.session) == (b"first", index, first)
    for seen in (0, index):
        with pytest.raises(Conflict):
            consul.lock(key, b"second", second, seen)
    assert consul.read(key) == entry


def test_a_lock_is_bound_to_what_was_read(consul: ConsulClient, fleet: str) -> None:
    key, session = f"riti/{fleet}/leader", open_session(consul)
    index = consul.write(key, b"1", 0)
    for stale in (0, index - 1, index + 1):
        with pytest.raises(Conflict):
            consul.lock(key, b"2", session, stale)
    with pytest.raises(Conflict):
        consul.lock(f"{key}-2", b"2", session, index)
    assert consul.lock(key, b"2", session, index) > index


def test_the_holder_writes_on_and_stays_the_holder(consul: ConsulClient, fleet: str) -> None:
    key, session = f"riti/{fleet}/leader", open_session(consul)
    index = consul.lock(key, b"1", session, 0)
    later = consul.lock(key, b"2", session, index)
    entry = consul.read(key)
    assert entry is not None
    assert (entry.value, entry.modify_index, entry.session) == (b"2", later, session)


def test_the_end_leaves_the_value_for_the_next(consul: ConsulClient, fleet: str) -> None:
    key, first, second = f"riti/{fleet}/leader", open_session(consul), open_session(consul)
    index = consul.unlock(key, b"ended", first, consul.lock(key, b"1", first, 0))
    entry = consul.read(key)
    assert entry is not None
    assert (entry.value, entry.modify_index, entry.session) == (b"ended", index, "")
    with pytest.raises(Conflict):
        consul.unlock(key, b"again", first, index)
    consul.lock(key, b"2", second, index)


def test_nobody_unlocks_for_another(consul: ConsulClient, fleet: str) -> None:
    key, first, second = f"riti/{fleet}/leader", open_session(consul), open_session(consul)
    index = consul.lock(key, b"1", first, 0)
    with pytest.raises(Conflict):
        consul.unlock(key, b"2", second, index)
    with pytest.raises(Conflict):
        consul.unlock(key, b"2", first, index - 1)


def test_an_ended_session_locks_no_more_and_leaves_the_value(consul: ConsulClient, fleet: str) -> None:
    key, first, second = f"riti/{fleet}/leader", open_session(consul), open_session(consul)
    index = consul.lock(key, b"1", first, 0)
    consul.renew_session(first)
    consul.destroy_session(first)
    consul.destroy_session(first)
    with pytest.raises(Conflict):
        consul.renew_session(first)
    entry = consul.read(key)
    assert entry is not None
    assert (entry.value, entry.session) == (b"1", "")
    assert entry.modify_index > index
    for session in (first, GONE):
        with pytest.raises(Conflict):
            consul.lock(key, b"2", session, entry.modify_index)
    consul.lock(key, b"2", second, entry.modify_index)


def test_a_watch_tells_what_is_new_since(consul: ConsulClient, fleet: str) -> None:
    key, session = f"riti/{fleet}/leader", open_session(consul)
    assert consul.watch(key, 0, 5.0).entry is None
    index = consul.lock(key, b"1", session, 0)
    before = consul.watch(key, 0, 5.0)
    assert before.entry is not None and before.entry.session == session
    assert before.index == index
    consul.destroy_session(session)
    after = consul.watch(key, before.index, 5.0)
    assert after.entry is not None and after.entry.session == ""
    assert after.index > before.index


@pytest.mark.parametrize("kind", ["real"])
def test_a_lock_delay_keeps_the_key_from_the_next(consul: ConsulClient, fleet: str) -> None:
    key, first, second = f"riti/{fleet}/leader", open_session(consul, 600.0), open_session(consul)
    consul.lock(key, b"1", first, 0)
    consul.destroy_session(first)
    entry = consul.read(key)
    assert entry is not None and entry.session == ""
    with pytest.raises(Conflict):
        consul.lock(key, b"2", second, entry.modify_index)
