"""The gate of a PBX: IAX2 only from the overlay, and Asterisk only when the overlay's address is there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.integration.namespaces import Pair, hold_pair, open_udp

PORT = 4569
OTHER_PORT = 4570
OVERLAY = "100.80.0.4"
ARRIVES_WITHIN_S = 20.0


@pytest.fixture
def pair() -> Iterator[Pair]:
    with hold_pair() as made:
        yield made


def reaches(pair: Pair, sender: str, source: str, target: str) -> bool:
    """Whether a datagram to the port arrives; one to another port, sent after it, ends the waiting."""
    with (
        open_udp(pair.inside, target, PORT) as guarded,
        open_udp(pair.inside, target, OTHER_PORT) as open_one,
        open_udp(sender, source) as out,
    ):
        guarded.setblocking(False)
        open_one.settimeout(ARRIVES_WITHIN_S)
        out.sendto(b"guarded", (target, PORT))
        out.sendto(b"open", (target, OTHER_PORT))
        assert open_one.recv(16) == b"open"
        try:
            return guarded.recv(16) == b"guarded"
        except BlockingIOError:
            return False


def test_lets_iax_in_from_the_overlay_and_loopback_only(pair: Pair, gate: str) -> None:
    assert reaches(pair, pair.outside, "10.99.7.2", "10.99.7.1")
    pair.address("riti", f"{OVERLAY}/24")
    for _ in range(2):  # again without harm
        done = pair.run(gate, "--address", OVERLAY, "--interface", "riti", "--port", str(PORT))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert not reaches(pair, pair.outside, "10.99.7.2", "10.99.7.1")
        assert not reaches(pair, pair.outside, "fd00:7::2", "fd00:7::1")
        assert reaches(pair, pair.inside, "127.0.0.1", "127.0.0.1")
    subprocess.run(
        ["ip", "-n", pair.outside, "address", "add", "100.80.0.9/24", "dev", "far-riti"], check=True
    )
    assert reaches(pair, pair.outside, "100.80.0.9", OVERLAY)


def test_waits_for_the_address_with_the_port_closed(pair: Pair, gate: str) -> None:
    waiting = subprocess.Popen(
        pair.argv(gate, "--address", OVERLAY, "--interface", "riti", "--timeout", "60s")
    )
    try:
        for _ in range(10_000):
            if not reaches(pair, pair.outside, "10.99.7.2", "10.99.7.1"):
                break
        else:
            pytest.fail("the port stays open while the gate waits")
        pair.address("public", f"{OVERLAY}/24")  # the right address, on another interface
        pair.address("riti", "100.80.0.5/24")  # the right interface, another address
        assert waiting.poll() is None
        pair.address("riti", f"{OVERLAY}/24")
        assert waiting.wait(ARRIVES_WITHIN_S) == 0
    finally:
        waiting.kill()
        waiting.wait()


def test_gives_up_with_one_line(pair: Pair, gate: str) -> None:
    pair.address("public", f"{OVERLAY}/24")
    pair.address("riti", "100.80.0.5/24")
    done = pair.run(gate, "--address", OVERLAY, "--interface", "riti", "--timeout", "50ms")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"gate: {OVERLAY} has not come up on riti within 50ms: see the overlay's log"
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "0"],
        ["--address", "nowhere"],
        ["--address", OVERLAY, "--port", "65536"],
        ["--address", OVERLAY, "--interface", "an-interface-too-long"],
    ],
)
def test_refuses_what_it_cannot_guard(gate: str, arguments: list[str]) -> None:
    done = subprocess.run([gate, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_becomes_the_program_that_follows_once_the_address_is_there(pair: Pair, gate: str) -> None:
    """Without any capability, and with the firewall left to another gate."""
    told = (
        "--port",
        "0",
        "--address",
        OVERLAY,
        "--interface",
        "riti",
        "--timeout",
        "50ms",
        "--",
        "/bin/echo",
        "up",
    )
    drop = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    early = pair.run(*drop, gate, *told)
    assert (early.returncode, early.stdout) == (1, "")
    pair.address("riti", f"{OVERLAY}/24")
    done = pair.run(*drop, gate, *told)
    assert (done.returncode, done.stdout) == (0, "up\n")
    assert reaches(pair, pair.outside, "10.99.7.2", "10.99.7.1"), (
        "it closed a port that it was told to leave alone"
    )


def test_closes_the_port_before_it_becomes_the_overlay(pair: Pair, gate: str) -> None:
    """As the overlay's task runs it: there is no address yet, and nothing is waited for."""
    done = pair.run(gate, "--interface", "riti", "--port", "4569", "--", "/bin/echo", "up")
    assert (done.returncode, done.stdout) == (0, "up\n")
    assert not reaches(pair, pair.outside, "10.99.7.2", "10.99.7.1")


def test_says_why_without_the_right(gate: str) -> None:
    drop = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "unshare", "--net"]
    done = subprocess.run([*drop, gate, "--address", OVERLAY], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "operation not permitted" in done.stderr
    assert len(done.stderr.splitlines()) == 1
