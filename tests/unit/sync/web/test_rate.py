"""How often one address may ask."""

from __future__ import annotations

from ritilib.sync.web.rate import RateLimit


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_burst_is_spent_and_filled_again() -> None:
    clock = Clock()
    limit = RateLimit(per_minute=60, burst=3, clock=clock)
    assert [limit.spend("a") for _ in range(4)] == [True, True, True, False]
    assert not limit.allows("a") and limit.allows("b")
    clock.now_s = 1.0
    assert limit.allows("a") and limit.spend("a") and not limit.spend("a")
    clock.now_s = 1000.0
    assert [limit.spend("a") for _ in range(4)] == [True, True, True, False]


def test_asking_in_vain_does_not_lengthen_the_wait() -> None:
    clock = Clock()
    limit = RateLimit(per_minute=60, burst=1, clock=clock)
    for _ in range(100):
        limit.spend("a")
    clock.now_s = 1.0
    assert limit.spend("a")


def test_addresses_beyond_the_most_are_forgotten_the_oldest_first() -> None:
    clock = Clock()
    limit = RateLimit(per_minute=1, burst=1, clock=clock, most_addresses=2)
    for address in ("a", "b", "a", "c"):
        limit.spend(address)
    assert not limit.allows("a") and not limit.allows("c") and limit.allows("b")
