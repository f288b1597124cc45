"""A box's tokens: one thread signs in for all, in time, and with the newest certificate."""

from __future__ import annotations

import pytest

from ritilib.box.own import RENEWED_AFTER_S, Access, Asking
from ritilib.errors import Unreachable
from tests.fakes.own import FakeOwn
from tests.unit.box.inside import KEY, Clock


def test_tokens_are_shared_and_had_anew_before_they_end(servers: FakeOwn) -> None:
    clock = Clock()
    access = Access(lambda: servers, lambda: True, clock, lambda: 0.0)
    first = access.take()
    assert access.take() is first and servers.sign_ins == 1
    clock.now_s = RENEWED_AFTER_S + 1
    second = access.take()
    assert second is not first and servers.sign_ins == 2
    access.forget(first)  # a slow thread's: the others have better ones by now
    assert access.take() is second
    access.forget(second)
    assert access.take() is not second
    assert "consul-1" not in repr(first)


def test_renewals_of_many_boxes_are_spread(servers: FakeOwn) -> None:
    due = {
        Access(lambda: servers, lambda: True, Clock(), lambda one=one / 10: one).take().due_s
        for one in range(10)
    }
    assert len(due) == 10 and min(due) >= RENEWED_AFTER_S / 2


def test_a_renewed_certificate_is_shown_by_every_thread(servers: FakeOwn) -> None:
    made: list[int] = []

    def connect() -> FakeOwn:
        made.append(len(made))
        return servers

    access = Access(connect, lambda: True)
    asking = [Asking(access), Asking(access)]
    for _ in range(2):
        access.certify()
        before = len(made)
        for _ in range(2):
            for one in asking:
                one.ask(lambda own, tokens: own.put(tokens.consul, KEY, b"x"))
        # one signed in, and each thread made a connection of its own
        assert len(made) == before + 3


def test_nobody_signs_in_without_a_certificate(servers: FakeOwn) -> None:
    with pytest.raises(Unreachable, match="not let in"):
        Access(lambda: servers, lambda: False).take()
    assert servers.sign_ins == 0
