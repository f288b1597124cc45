"""An answer that is not the server's own is none, whatever its status says; one that lacks a part is refused."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import Server, Settings
from ritilib.clients.vault import Vault
from ritilib.errors import Denied, RitiError, Unreachable
from tests.unit.http_script import serve_script

PAGE = b"<html><body>we will be back</body></html>"
Ask = Callable[[Settings], object]
ASKS: dict[str, Ask] = {
    "Nomad's jobs": lambda held: Nomad(held).list_jobs("f--"),
    "one of Nomad's jobs": lambda held: Nomad(held).read_job("f--c--b"),
    "a registration": lambda held: Nomad(held).register({"ID": "f--c--b"}, 0),
    "Consul's keys": lambda held: Consul(held).list_keys("riti/f/pbx/"),
    "a tree of Consul's": lambda held: Consul(held).read_tree("riti/f/inventory/"),
    "one of Consul's keys": lambda held: Consul(held).read("riti/f/leader"),
    "a write to Consul": lambda held: Consul(held).write("riti/f/a", b"1", 0),
    "a policy of Consul's": lambda held: Consul(held).list_tokens("riti-f"),
    "a document of Vault's": lambda held: Vault(held).read_document("f/pbx/c/b"),
    "a document written": lambda held: Vault(held).write_document("f/pbx/c/b", {}, 0),
    "a role of Vault's": lambda held: Vault(held).put_role("jwt-nomad", "r", {"a": 1}),
}
HALVES = (b'[{"ID": ', b'{"data": {"keys": ["a"', b'[{"Key":"riti/f/inventory/a","Value":null}')
EMPTY_IN = {"Nomad's jobs": b"{}", "Consul's keys": b"[]", "a tree of Consul's": b"[]"}


def answer(ask: Ask, status: str, kind: str, body: bytes, more: str = "") -> RitiError:
    """What asking raises when this is the answer."""
    with serve_script() as script, ThreadPoolExecutor(1) as pool:
        server = Server(script.url, "t")
        asked = pool.submit(ask, Settings(server, server, server))
        length = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}{length}"
        connection = script.next()
        connection.send(head.encode() + body)
        connection.close()
        with pytest.raises(RitiError) as raised:
            asked.result(timeout=20)
        return raised.value


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "500 Oh"])
def test_a_proxys_page_is_no_answer(ask: Ask, status: str) -> None:
    error = answer(ask, status, "text/html; charset=utf-8", PAGE)
    assert isinstance(error, Unreachable) and "as a proxy writes it" in str(error)


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
@pytest.mark.parametrize("body", HALVES)
def test_half_an_answer_is_none(ask: Ask, body: bytes) -> None:
    more = "X-Consul-Index: 7\r\nX-Nomad-Index: 7\r\n"
    assert isinstance(answer(ask, "200 OK", "application/json", body, more), Unreachable)


@pytest.mark.parametrize("what", EMPTY_IN)
def test_an_empty_list_of_nobody_is_no_empty_list(what: str) -> None:
    """Nomad and Consul say at which index it is empty."""
    assert isinstance(answer(ASKS[what], "200 OK", "application/json", EMPTY_IN[what]), Unreachable)


@pytest.mark.parametrize("what", ["Consul's keys", "a tree of Consul's"])
@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
def test_a_list_with_parts_left_out_is_denied(what: str, status: str) -> None:
    more = "X-Consul-Index: 7\r\nX-Consul-Results-Filtered-By-ACLs: true\r\n"
    error = answer(ASKS[what], status, "application/json", b"[]", more)
    assert isinstance(error, Denied) and "CONSUL_HTTP_TOKEN" in str(error)
