"""A box believes its card's authority alone, at a time that it knows, and says what goes wrong without a secret."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ritilib.box.clock import Clock, Window
from ritilib.box.gateway import Busy, Gateway
from ritilib.devstack.record import LOOPBACK, choose_ports
from ritilib.errors import Denied, RitiError, Unreachable
from tests.enroll.gate import Authority, run_gate

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
WINDOW = Window(NOW - 2 * DAY, NOW + 28 * DAY)
YEARS = 3650 * DAY


def make_clock(off: timedelta = timedelta(0)) -> Clock:
    """One that is wrong by so much."""
    return Clock(WINDOW, lambda: (datetime.now(UTC) + off).timestamp())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def certificate(authority: Authority) -> Path:
    return authority.sign(NOW - DAY, NOW + 20 * DAY)


def ask(gateway: Gateway) -> int:
    return gateway.ask("GET", "/v1/acl/login", "ask", {"X-Consul-Token": "a-secret"}).status


def test_the_right_authority_and_no_other(authority: Authority, certificate: Path, tmp_path: Path) -> None:
    with run_gate(certificate) as gate:
        gate.answer = (200, {})
        assert ask(Gateway([gate.address], authority.pem, make_clock())) == 200
        foreign = Gateway([gate.address], Authority(tmp_path, "of somebody else").pem, make_clock())
        with pytest.raises(Unreachable, match="not by the authority that the card names"):
            ask(foreign)
        # another authority that says the same name of itself
        forged = Gateway([gate.address], Authority(tmp_path).pem, make_clock())
        with pytest.raises(Unreachable):
            ask(forged)
        assert len(gate.passed) == 1


def test_another_address_is_not_the_gateway(authority: Authority) -> None:
    with run_gate(authority.sign(NOW - DAY, NOW + DAY, "192.0.2.1")) as gate:
        with pytest.raises(Unreachable, match="not for this address"):
            ask(Gateway([gate.address], authority.pem, make_clock()))
        assert not gate.passed


@pytest.mark.parametrize("off", [-YEARS, YEARS, -40 * DAY, 29 * DAY, -timedelta(days=20_500)])
def test_a_wrong_clock_is_told_the_time(authority: Authority, certificate: Path, off: timedelta) -> None:
    clock = make_clock(off)
    assert clock.now() is None
    with run_gate(certificate) as gate:
        gate.answer = (200, {})
        assert ask(Gateway([gate.address], authority.pem, clock)) == 200
        assert [one.method for one in gate.passed] == ["POST", "GET"]
    now = clock.now()
    assert now is not None and abs(now - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("off", [-YEARS, YEARS, timedelta(0)])
@pytest.mark.parametrize("times", [(-9 * DAY, -3 * DAY), (DAY, 20 * DAY)])
def test_a_certificate_that_is_not_good_now_is_not_believed(
    authority: Authority, times: tuple[timedelta, timedelta], off: timedelta
) -> None:
    """Whatever the box's clock says: it is told nothing that has to be kept, and no request."""
    with run_gate(authority.sign(NOW + times[0], NOW + times[1])) as gate:
        gate.answer = (200, {})
        with pytest.raises(Unreachable, match="not valid at the time that it says"):
            ask(Gateway([gate.address], authority.pem, make_clock(off)))
        assert [one.path for one in gate.passed] == ["/v1/acl/login"] and gate.passed[0].method == "POST"


def test_an_old_time_is_not_believed(authority: Authority) -> None:
    """A gateway whose certificate was stolen long ago, and which says a time at which it was good."""
    with run_gate(authority.sign(NOW - 90 * DAY, NOW - 60 * DAY)) as gate:
        gate.answer, gate.told = (200, {}), lambda: NOW - 70 * DAY
        with pytest.raises(Unreachable, match="the gateway's clock is wrong"):
            ask(Gateway([gate.address], authority.pem, make_clock(-YEARS)))


def test_a_clock_inside_its_window_is_told_too_where_the_certificate_is_younger(authority: Authority) -> None:
    clock = Clock(Window(NOW - 20 * DAY, NOW + 10 * DAY), lambda: (NOW - 10 * DAY).timestamp())
    with run_gate(authority.sign(NOW - DAY, NOW + DAY)) as gate:
        gate.answer = (200, {})
        assert ask(Gateway([gate.address], authority.pem, clock)) == 200


def test_a_foreign_authority_tells_no_time(authority: Authority, tmp_path: Path) -> None:
    clock = make_clock(YEARS)
    with run_gate(Authority(tmp_path, "other").sign(NOW - DAY, NOW + DAY)) as gate:
        with pytest.raises(Unreachable):
            ask(Gateway([gate.address], authority.pem, clock))
        assert not gate.passed and clock.now() is None


def test_the_next_address_is_asked(authority: Authority, certificate: Path) -> None:
    nobody = f"https://{LOOPBACK}:{choose_ports(('nobody',))['nobody']}"
    with run_gate(certificate) as gate:
        gate.answer = (200, {})
        gateway = Gateway([nobody, gate.address], authority.pem, make_clock())
        with pytest.raises(Unreachable):
            ask(gateway)
        assert ask(gateway) == 200 and ask(gateway) == 200


@pytest.mark.parametrize(
    ("status", "headers", "kind", "pause_s"),
    [
        (429, {"Retry-After": "7"}, Busy, 7.0),
        (503, {"Retry-After": "86400"}, Busy, 600.0),
        (503, {"Retry-After": "nonsense"}, Busy, 0.0),
        (500, {}, Busy, 0.0),
        (403, {}, Denied, None),
        (302, {}, RitiError, None),
    ],
)
def test_a_refusal_says_how_long(
    authority: Authority,
    certificate: Path,
    status: int,
    headers: dict[str, str],
    kind: type[RitiError],
    pause_s: float | None,
) -> None:
    with run_gate(certificate) as gate:
        gate.answer = (status, headers)
        with pytest.raises(kind) as caught:
            ask(Gateway([gate.address], authority.pem, make_clock()))
    assert getattr(caught.value, "pause_s", None) == pause_s
    assert "a-secret" not in str(caught.value)


def test_a_lost_answer_is_asked_no_second_time(authority: Authority, certificate: Path) -> None:
    lost: Callable[[int], bool] = lambda number: number == 1  # noqa: E731
    with run_gate(certificate) as gate:
        gate.answer, gate.is_lost = (200, {}), lost
        gateway = Gateway([gate.address], authority.pem, make_clock())
        assert ask(gateway) == 200
        with pytest.raises(Unreachable) as caught:
            ask(gateway)
        assert len(gate.passed) == 2 and "a-secret" not in str(caught.value)
        assert ask(gateway) == 200
