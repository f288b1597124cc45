"""The history as a value: what makes an entry, and how long it gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ritilib.errors import GitopsError
from ritilib.sync.seen.history import MOST_ENTRIES, MOST_NAMES, Entry, History, make_entry, read_history
from ritilib.sync.seen.status import MOST_BYTES
from ritilib.sync.synced import Synced
from tests.unit.sync.seen.test_status import KEYS, NOW, make_done


def enter(done: Synced, is_first_whole: bool = False) -> Entry | None:
    return make_entry(done, is_first_whole, "host:1", 4, NOW, NOW + timedelta(seconds=2))


def test_a_quiet_cycle_and_a_failed_try_are_no_entry() -> None:
    assert enter(make_done()) is None
    assert enter(make_done(failed=frozenset({"acme/a"}))) is None


def test_a_change_is_one_with_its_names() -> None:
    entry = enter(make_done(changed=("acme/a", "acme/b"), healed=frozenset({"acme/b"}), stopped=("old/x",)))
    assert entry is not None
    assert entry.counts == {"changed": 1, "healed": 1, "stopped": 1}
    assert entry.units == {"changed": ("acme/a",), "healed": ("acme/b",), "stopped": ("old/x",)}
    assert (entry.began, entry.ended) == ("2026-11-25T04:00:00Z", "2026-11-25T04:00:02Z")
    assert entry.names("acme/b") == ("healed",)


def test_a_commit_that_becomes_whole_is_one() -> None:
    entry = enter(make_done(), is_first_whole=True)
    assert entry is not None and entry.whole and entry.counts == {}
    assert enter(make_done(left=1), is_first_whole=True) is None


def test_names_are_few_and_numbers_whole() -> None:
    entry = enter(make_done(changed=KEYS, failed=frozenset(KEYS[:3])))
    assert entry is not None
    assert sum(map(len, entry.units.values())) == MOST_NAMES
    assert entry.counts == {"changed": 2000, "failed": 3}


def test_the_longest_history_fits_into_one_value() -> None:
    names = tuple(f"{'c' * 63}/{'b' * 60}{number}" for number in range(MOST_NAMES))
    entry = enter(make_done(changed=names))
    assert entry is not None
    value = History((entry,) * MOST_ENTRIES).to_bytes()
    assert len(value) <= MOST_BYTES
    kept = read_history("riti/demo/history", value).entries
    assert 50 < len(kept) < MOST_ENTRIES
    assert kept[0] == entry


def test_what_is_no_history_is_refused_with_words() -> None:
    for value in (b"[]", b"\xff", History(format=2).to_bytes()):
        with pytest.raises(GitopsError, match="riti/demo/history"):
            read_history("riti/demo/history", value)


def test_times_are_of_one_kind() -> None:
    entry = make_entry(make_done(changed=("a/b",)), False, "w", 1, NOW, datetime(2026, 1, 1, tzinfo=UTC))
    assert entry is not None and entry.ended == "2026-01-01T00:00:00Z"
