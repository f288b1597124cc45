"""The paths of the gateway for boxes: what a box needs passes, and nothing else reaches a server."""

from __future__ import annotations

import json
import threading

import pytest
import requests

from tests.integration.gateway.asking import (
    DOCUMENT,
    IDENTITY,
    NO_SERVER,
    OWN,
    SALTO,
    VALUE,
    refuse,
    send_raw,
)
from tests.integration.gateway_lab import DEADLINE_S, FLEET, BoxKey, Lab

# --- what a box needs


def test_a_claim_opens_consul_for_the_request_and_its_reply(lab: Lab) -> None:
    unit, request, reply = f"{FLEET}--acme--new", "enroll/acme/new/request", "enroll/acme/new/reply"
    lab.allow(f"enroll-{unit}", {f"riti/{FLEET}/{request}": "write", f"riti/{FLEET}/{reply}": "read"})
    said = {"AuthMethod": f"riti-claim-{FLEET}", "BearerToken": lab.write_claim(unit)}
    answer = lab.ask("POST", "/v1/acl/login", body=said)
    token = {"X-Consul-Token": answer.json()["SecretID"]}
    path = f"/v1/kv/riti/{FLEET}/{request}"
    assert lab.ask("PUT", f"{path}?cas=0", None, token, b"x" * 4096).text.strip() == "true"
    assert lab.ask("PUT", f"{path}?cas=0", None, token, b"another").text.strip() == "false"
    assert lab.ask("GET", f"{path}?raw", None, token).text == "x" * 4096
    assert lab.consul("PUT", f"kv/riti/{FLEET}/{reply}", b"bound").ok
    assert lab.ask("GET", f"/v1/kv/riti/{FLEET}/{reply}?raw=1", None, token).text == "bound"
    assert lab.ask("POST", "/v1/acl/logout", None, token).ok
    assert lab.ask("GET", f"{path}?raw", None, token).status_code == 403


def test_the_own_keys_are_read_and_written(lab: Lab, salto: BoxKey, consul_token: dict[str, str]) -> None:
    assert lab.ask("GET", f"{VALUE}?raw", salto, consul_token).text == "the configuration"
    assert lab.ask("GET", f"/v1/kv/riti/{FLEET}/blocked?stale=&raw=", salto, consul_token).text == "[]"
    turn = f"/v1/kv/riti/{FLEET}/generation/acme/salto?raw"
    assert lab.ask("GET", turn, salto, consul_token).text == "whose turn it is"
    image = f"/v1/kv/riti/{FLEET}/image/acme/salto?raw"
    assert lab.ask("GET", image, salto, consul_token).text == "which image"
    for name in ("word", "report", "generation"):
        assert lab.ask("PUT", f"{OWN}/{name}?dc=dc1", salto, consul_token, b"{}").text.strip() == "true"
        assert lab.ask("GET", f"{OWN}/{name}?raw&consistent", salto, consul_token).text == "{}"


def test_the_service_and_its_check_of_time_outs_are_registered(
    lab: Lab, salto: BoxKey, consul_token: dict[str, str]
) -> None:
    name = f"box-{SALTO}"
    check = {"CheckID": name, "TTL": "90s", "Status": "critical", "DeregisterCriticalServiceAfter": "72h"}
    said = {"ID": name, "Name": name, "Check": check}
    register = "/v1/agent/service/register"
    assert lab.ask("PUT", register, salto, consul_token, said).ok
    compact = json.dumps({"name": name, "id": name, "check": {"ttl": "90s"}}, separators=(",", ":"))
    assert lab.ask("PUT", f"{register}?replace-existing-checks=true", salto, consul_token, compact).ok
    for path, body in (
        (f"check/pass/service:{name}?note=22%20C", None),
        (f"check/warn/service%3A{name}", None),
        (f"check/update/service:{name}", {"Status": "passing", "Output": "up 3 days"}),
    ):
        assert lab.ask("PUT", f"/v1/agent/{path}", salto, consul_token, body or b"").ok
    [found] = lab.consul("GET", f"health/service/{name}").json()
    states = {one["CheckID"]: (one["Status"], one["Output"]) for one in found["Checks"]}
    assert states[f"service:{name}"] == ("passing", "up 3 days")
    assert lab.ask("PUT", f"/v1/agent/service/deregister/{name}", salto, consul_token).ok


def test_vault_knows_the_box_by_its_certificate(lab: Lab, salto: BoxKey, vault_token: dict[str, str]) -> None:
    held = lab.ask("GET", "/v1/auth/token/lookup-self", salto, vault_token).json()["data"]
    assert held["meta"]["common_name"] == SALTO
    document = lab.ask("GET", f"{DOCUMENT}?version=1", salto, vault_token).json()["data"]["data"]
    assert document == {"secret": "of acme/salto"}
    assert lab.ask("GET", IDENTITY, salto, vault_token).ok
    assert lab.ask("POST", "/v1/auth/token/renew-self", salto, vault_token, b"{}").ok
    assert lab.ask("POST", "/v1/auth/token/revoke-self", salto, vault_token, b"").ok
    assert lab.ask("GET", IDENTITY, salto, vault_token).status_code == 403


def test_a_blocking_query_waits_for_its_change(lab: Lab, salto: BoxKey, consul_token: dict[str, str]) -> None:
    """Longer than the client may keep silent otherwise (30 s)."""
    path = f"/v1/kv/riti/{FLEET}/blocked"
    index = lab.ask("GET", path, salto, consul_token).headers["X-Consul-Index"]
    answers: list[requests.Response] = []
    waits = f"{path}?index={index}&wait=5m&raw"
    thread = threading.Thread(
        target=lambda: answers.append(lab.ask("GET", waits, salto, consul_token, timeout_s=120))
    )
    thread.start()
    thread.join(timeout=35)
    assert thread.is_alive()
    assert lab.consul("PUT", f"kv/riti/{FLEET}/blocked", b'["ab"]').ok
    thread.join(timeout=DEADLINE_S)
    assert [answer.text for answer in answers] == ['["ab"]']
    assert lab.consul("PUT", f"kv/riti/{FLEET}/blocked", b"[]").ok


def test_every_answer_tells_the_time_and_the_gateways_own_too(lab: Lab, salto: BoxKey) -> None:
    for path in ("/", VALUE):
        assert lab.ask("GET", path, salto).headers["Date"].endswith(" GMT")


# --- what nobody needs

TOKENLESS = {"X-Consul-Token": "none", "X-Vault-Token": "none"}
NEVER = [
    ("GET", "/"),
    ("GET", "/v1/agent/self"),
    ("GET", "/v1/agent/metrics"),
    ("GET", "/v1/status/leader"),
    ("GET", "/v1/catalog/nodes"),
    ("GET", "/v1/health/state/any"),
    ("PUT", "/v1/txn"),
    ("PUT", "/v1/session/create"),
    ("PUT", "/v1/event/fire/x"),
    ("POST", "/v1/acl/bootstrap"),
    ("PUT", "/v1/acl/token"),
    ("GET", "/v1/acl/token/self"),
    ("PUT", "/v1/catalog/register"),
    ("PUT", "/v1/agent/check/register"),
    ("PUT", "/v1/agent/leave"),
    ("PUT", f"/v1/agent/service/deregister/riti-{FLEET}"),
    ("GET", f"/v1/kv/riti/{FLEET}/leader"),
    ("GET", f"/v1/kv/riti/{FLEET}/pbx/acme/salto/1"),
    ("GET", f"/v1/kv/riti/{FLEET}/pbx/acme/salto/box/word"),
    ("GET", f"{OWN}/1"),
    ("GET", f"/v1/kv/riti/{FLEET}/enrolled/acme/salto"),
    ("GET", f"/v1/kv/riti/{FLEET}/?recurse"),
    ("PUT", f"/v1/kv/riti/{FLEET}/blocked"),
    ("GET", "/v1/kv/riti/another/blocked"),
    ("PUT", f"/v1/kv/riti/{FLEET}/generation/acme/salto"),
    ("PUT", f"/v1/kv/riti/{FLEET}/image/acme/salto"),
    ("GET", f"/v1/kv/riti/{FLEET}/image/acme/salto/more"),
    ("PUT", VALUE),
    ("DELETE", f"{OWN}/word"),
    ("HEAD", VALUE),
    ("OPTIONS", VALUE),
    ("POST", f"{OWN}/word"),
    ("PUT", f"/v1/kv/riti/{FLEET}/enroll/acme/salto/reply"),
    ("GET", f"{VALUE}?recurse"),
    ("GET", f"{VALUE}?keys&separator=/"),
    ("GET", f"{VALUE}?token=none"),
    ("PUT", f"{OWN}/word?flags=1"),
    ("PUT", f"{OWN}/word?acquire=00000000-0000-0000-0000-000000000000"),
    ("POST", "/v1/acl/login?meta=x"),
    ("GET", "/v1/sys/health"),
    ("GET", "/v1/sys/seal-status"),
    ("PUT", "/v1/sys/init"),
    ("POST", "/v1/sys/unseal"),
    ("POST", "/v1/auth/token/create"),
    ("POST", "/v1/auth/jwt-nomad/login"),
    ("POST", "/v1/auth/riti-cert-another/login"),
    ("GET", f"/v1/auth/riti-cert-{FLEET}/certs?list=true"),
    ("LIST", f"/v1/riti/metadata/{FLEET}/box"),
    ("GET", f"/v1/riti/data/{FLEET}/pbx/acme/salto"),
    ("POST", DOCUMENT),
    ("PUT", f"/v1/riti-pki-{FLEET}/sign/box"),
    ("GET", "/v1/identity/oidc/token/riti-box-another"),
    ("GET", "/ui/"),
    ("TRACE", "/"),
]


@pytest.mark.parametrize(("method", "path"), NEVER)
def test_what_no_box_needs_reaches_no_server(lab: Lab, salto: BoxKey, method: str, path: str) -> None:
    refuse(lab.ask(method, path, salto, TOKENLESS, b"" if method in ("PUT", "POST") else None), lab, 404)


TRICKS = [
    f"/v1/kv/riti/{FLEET}/pbx/acme/salto/box/%31",
    f"/v1/kv/riti/{FLEET}/pbx/acme/salto/box/../../../leader",
    f"/v1/kv/riti/{FLEET}/pbx/acme/%2e%2e/salto/box/1",
    f"/v1/kv/riti/{FLEET}/pbx/acme/salto/box%2f1",
    f"/v1/kv/riti/{FLEET}/pbx/acme/salto/box/1%00",
    f"/v1/kv/riti/{FLEET}/pbx/acme/salto/box/1/",
    f"/v1/kv/riti/{FLEET}/pbx/acme/salto/box/1;a=b",
    f"/v1/kv/riti/{FLEET}/pbx/acme;x/salto/box/1",
    f"/v1/kv/riti/{FLEET}/pbx/acme/salto/box/1%3frecurse",
    f"/v1/kv/riti/{FLEET}//pbx/acme/salto/box/1",
    f"//v1/kv/riti/{FLEET}/pbx/acme/salto/box/1",
    f"/V1/kv/riti/{FLEET}/pbx/acme/salto/box/1",
    f"/v1/KV/riti/{FLEET}/pbx/acme/salto/box/1",
    f"/v1/kv/riti/{FLEET.upper()}/pbx/acme/salto/box/1",
    f"/v1/kv/riti/{FLEET}/pbx/acme--x/salto/box/1",
    f"/v1/kv/riti/{FLEET}/pbx/acme/salto/box/1?raw&raw&recurse",
    f"/v1/kv/riti/{FLEET}/pbx/acme/salto/box/1?raw%26recurse",
    f"/v1/kv/riti/{FLEET}/pbx/acme/salto/box/1?raw#&recurse",
    f"/./v1/kv/riti/{FLEET}/pbx/acme/salto/box/1",
    f"/v1/riti/data/{FLEET}/box/acme/salto/../../pbx/acme/salto",
    f"/v1/riti/data/{FLEET}/box/acme/salto?version=1&list=true",
]


@pytest.mark.parametrize("path", TRICKS)
def test_another_spelling_is_another_path(lab: Lab, salto: BoxKey, path: str) -> None:
    """By hand, since every library would mend some of them."""
    status = send_raw(lab, salto, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status in (400, 404)
    # a path that is no HTTP at all (a fragment) is refused before it is a request
    assert {line["server"] for line in lab.read_log() if line["status"] == status} == {NO_SERVER}


def test_two_requests_in_one_are_refused(lab: Lab, salto: BoxKey) -> None:
    for more in (
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/agent/self HTTP/1.1\r\n\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        "Content-Length : 4\r\n\r\nabcd",
    ):
        request = f"PUT {OWN}/word HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}"
        assert send_raw(lab, salto, request) in (400, 411)


def test_it_is_nobodys_proxy(lab: Lab, salto: BoxKey) -> None:
    target = lab.record.consul_address
    for line in (f"CONNECT {target.removeprefix('http://')}", f"GET {target}/v1/agent/self"):
        assert send_raw(lab, salto, f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") in (400, 404)
        assert lab.read_log()[-1]["server"] == NO_SERVER


def test_http_2_is_not_spoken(lab: Lab, salto: BoxKey) -> None:
    assert send_raw(lab, salto, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == 400
