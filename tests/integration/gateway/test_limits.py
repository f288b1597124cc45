"""How much passes the gateway: sizes, time, rates, and what it says where servers die."""

from __future__ import annotations

import pytest

from ritilib.devstack.processes import wait_until
from ritilib.devstack.record import find_log
from ritilib.render.gateway import LONGEST_BODY
from tests.integration.gateway.asking import OWN, PAYSANDU, RIVERA, VALUE, refuse, send_raw
from tests.integration.gateway_lab import DEADLINE_S, BoxKey, Lab
from tests.integration.relay import Ledger, Relay


def test_what_is_too_long_is_refused(lab: Lab, salto: BoxKey, consul_token: dict[str, str]) -> None:
    fits, longer = b"x" * LONGEST_BODY, b"x" * (LONGEST_BODY + 1)
    assert lab.ask("PUT", f"{OWN}/report", salto, consul_token, fits).ok
    refuse(lab.ask("PUT", f"{OWN}/report", salto, consul_token, longer), lab, 413)
    refuse(lab.ask("GET", f"{OWN}/report", salto, consul_token, b"x"), lab, 413)
    refuse(lab.ask("GET", f"{OWN}/report", salto, {**consul_token, "X-Long": "x" * 9000}), lab, 431)
    many = {f"X-{number}": "x" for number in range(60)}
    refuse(lab.ask("GET", f"{OWN}/report", salto, {**consul_token, **many}), lab, 400)


@pytest.mark.parametrize(
    "sent", ["", "GET / HTTP/1.1\r\n", f"PUT {OWN}/word HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"]
)
def test_who_dawdles_is_cut_off(lab: Lab, salto: BoxKey, sent: str) -> None:
    """The connection ends by itself: with 408, or without a word where none was said."""
    assert send_raw(lab, salto, sent) in (0, 408)


def test_one_box_over_its_rate_slows_no_other(lab: Lab, salto: BoxKey) -> None:
    lab.start_gateway(requests_per_s=1)
    answers = [lab.ask("GET", VALUE, salto) for _ in range(14)]
    assert {answer.status_code for answer in answers[:10]} == {403}  # Consul's: there is no token
    assert {answer.status_code for answer in answers[10:]} == {429}
    assert answers[-1].headers["Retry-After"] == "10"
    for other in (RIVERA, PAYSANDU):
        assert lab.log_in_consul(lab.boxes[other])
    # nor those that have no certificate yet, though they come from the same address
    assert lab.ask("POST", "/v1/acl/login", body={}).status_code == 403


def test_those_without_a_certificate_share_their_addresss_rate(lab: Lab, salto: BoxKey) -> None:
    lab.start_gateway(address_requests_per_s=1)
    statuses = [lab.ask("GET", "/").status_code for _ in range(12)]
    assert statuses == [404] * 10 + [429] * 2
    assert lab.log_in(salto)


def test_a_server_that_dies_is_left_out(lab: Lab, salto: BoxKey) -> None:
    ledger = Ledger()
    relay = Relay("CONSUL", lab.record.consul_address, ledger)
    lab.start_gateway(consul=[relay.url, lab.record.consul_address])
    token = {"X-Consul-Token": lab.log_in_consul(salto)}
    wait_until(
        lambda: lab.ask("GET", VALUE, salto, token).ok and bool(ledger.requests),
        DEADLINE_S,
        "waiting until both are asked",
        find_log(lab.state, "gateway"),
    )
    relay.close()
    wait_until(
        lambda: "consul/consul-1 is DOWN" in find_log(lab.state, "gateway").read_text(),
        DEADLINE_S,
        "waiting until it is out",
        find_log(lab.state, "gateway"),
    )
    assert all(lab.ask("GET", VALUE, salto, token).ok for _ in range(10))
    assert lab.ask_figures("readyz") == 200


def test_without_any_server_it_says_so_and_when_to_come_back(lab: Lab, salto: BoxKey) -> None:
    relay = Relay("CONSUL", lab.record.consul_address, Ledger())
    lab.start_gateway(consul=[relay.url])
    relay.close()
    log = find_log(lab.state, "gateway")
    wait_until(lambda: lab.ask_figures("readyz") == 503, DEADLINE_S, "waiting until it is not ready", log)
    answer = lab.ask("GET", VALUE, salto)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert lab.log_in(salto)
    assert lab.ask_figures("healthz") == 200
