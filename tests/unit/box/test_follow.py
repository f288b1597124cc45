"""A box and the keys that it follows: an outage or an ended token costs nothing but time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ritilib.box.follow import BACK, Follower
from ritilib.box.own import Access, OwnServers, Tokens
from ritilib.box.servers import Value
from ritilib.errors import RitiError
from ritilib.reconcile.backoff import Backoff
from tests.fakes.own import FakeOwn
from tests.unit.box.inside import KEY, wait

AT_ONCE = Backoff(first_s=0.01, longest_s=0.02, share=1.0)


class Following:
    """A Follower in a thread, and what it told."""

    def __init__(self, access: Access) -> None:
        self.told: list[bytes] = []
        self.said: list[str] = []
        self.error: RitiError | None = None
        self.stopped = threading.Event()
        self.follower = Follower(access, KEY, self.tell, self.said.append, self.stopped, lambda: 0.0, AT_ONCE)

    def tell(self, data: bytes, _servers: OwnServers, _tokens: Tokens) -> None:
        if self.error:
            raise self.error
        self.told.append(data)


@pytest.fixture
def following(access: Access) -> Iterator[Following]:
    made = Following(access)
    thread = threading.Thread(target=made.follower.run)
    thread.start()
    yield made
    made.stopped.set()
    thread.join()


def test_each_value_is_told_once_and_an_absent_key_is_no_instruction(
    servers: FakeOwn, following: Following
) -> None:
    wait(lambda: following.said[-1:] == [""])
    assert following.told == []
    for data in (b"1", b"2", b"2", b"3"):
        servers.set(KEY, data)
        wait(lambda data=data: following.told[-1:] == [data])  # type: ignore[misc]
    del servers.values[KEY]
    servers.set("riti/fleet/other", b"wakes the watch")
    servers.set(KEY, b"4")
    wait(lambda: following.told == [b"1", b"2", b"3", b"4"])


def test_an_outage_is_survived_and_ended_tokens_are_had_anew(servers: FakeOwn, following: Following) -> None:
    servers.set(KEY, b"1")
    wait(lambda: following.told == [b"1"])
    servers.is_away = True
    wait(lambda: "the fake is away" in following.said)
    servers.set(KEY, b"2")
    servers.is_away = False
    wait(lambda: following.told == [b"1", b"2"])
    servers.end_tokens()
    servers.set(KEY, b"3")
    wait(lambda: following.told[-1] == b"3")
    assert following.told == [b"1", b"2", b"3"] and servers.sign_ins >= 2


def test_what_could_not_be_taken_is_told_again(servers: FakeOwn, following: Following) -> None:
    following.error = RitiError.because("the document is older", "wait")
    servers.set(KEY, b"1")
    wait(lambda: "the document is older" in following.said)
    following.error = None
    wait(lambda: following.told == [b"1"])


def test_an_index_that_goes_back_is_waited_from_anew(servers: FakeOwn, access: Access) -> None:
    made = Following(access)
    tokens = access.take()
    servers.index = 100
    servers.set(KEY, b"1")
    made.follower.step(servers, tokens)
    servers.index = 5  # Consul was restored
    servers.set(KEY, b"2")
    made.follower.step(servers, tokens)
    made.follower.step(servers, tokens)
    assert made.told == [b"1", b"2"]


def test_ten_thousand_boxes_come_back_over_minutes() -> None:
    boxes = 10_000
    delays = sorted(BACK.delay(20, lambda one=one / boxes: one) for one in range(boxes))
    assert delays[0] < 1.0 and delays[-1] == BACK.longest_s
    peak = max(sum(second <= one < second + 1 for one in delays) for second in range(0, 300, 10))
    assert peak <= boxes / BACK.longest_s * 1.1


def test_one_that_polls_leaves_no_query_waiting(servers: FakeOwn, access: Access) -> None:
    told: list[bytes] = []
    moved: list[int] = []
    stopped = threading.Event()
    watch = servers.watch

    def look(token: str, key: str, index: int) -> Value:
        moved.append(index)
        return watch(token, key, index)

    servers.watch = look  # type: ignore[method-assign]
    follower = Follower(
        access,
        KEY,
        lambda data, _servers, _tokens: told.append(data),
        lambda _what: None,
        stopped,
        lambda: 0.0,
        AT_ONCE,
        poll_s=0.02,
    )
    thread = threading.Thread(target=follower.run)
    thread.start()
    try:
        for data in (b"1", b"2"):
            servers.set(KEY, data)
            wait(lambda data=data: told[-1:] == [data])  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()
    assert told == [b"1", b"2"] and set(moved) == {0}
