"""The gateway for boxes with a real Consul and a real OpenBao behind it: what passes, and all that does not."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ritilib.devstack.processes import wait_until
from ritilib.devstack.record import LOOPBACK, find_log
from ritilib.devstack.servers import vault
from ritilib.render.gateway import LONGEST_BODY
from tests.integration.gateway_lab import DEADLINE_S, FLEET, BoxKey, Lab, hold_lab, write_pair
from tests.integration.relay import Ledger, Relay

SALTO, RIVERA, PAYSANDU = f"{FLEET}--acme--salto", f"{FLEET}--acme--rivera", f"{FLEET}--zorro--paysandu"
OWN = f"/v1/kv/riti/{FLEET}/box/acme/salto"
VALUE = f"/v1/kv/riti/{FLEET}/pbx/acme/salto/box/1"
LOGIN = f"/v1/auth/riti-cert-{FLEET}/login"
IDENTITY = f"/v1/identity/oidc/token/riti-box-{FLEET}"
DOCUMENT = f"/v1/riti/data/{FLEET}/box/acme/salto"
NO_SERVER = "<NOSRV>"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with hold_lab(tmp_path_factory.mktemp("gateway")) as made:
        made.boxes = {unit: made.enter(unit) for unit in (SALTO, RIVERA, PAYSANDU)}
        yield made


@pytest.fixture
def salto(lab: Lab) -> BoxKey:
    return lab.boxes[SALTO]


@pytest.fixture
def consul_token(lab: Lab, salto: BoxKey) -> dict[str, str]:
    return {"X-Consul-Token": lab.log_in_consul(salto)}


@pytest.fixture
def vault_token(lab: Lab, salto: BoxKey) -> dict[str, str]:
    return {"X-Vault-Token": lab.log_in(salto)}


def refuse(answer: requests.Response, lab: Lab, *statuses: int) -> None:
    """The gateway itself said no, and no server was asked."""
    assert answer.status_code in statuses, answer.text

    def has_told() -> bool:
        told = (line["server"] for line in reversed(lab.read_log()) if line["status"] == answer.status_code)
        return next(told, "") == NO_SERVER

    # its line is written after its answer
    wait_until(has_told, DEADLINE_S, "waiting until the gateway tells of it", find_log(lab.state, "gateway"))


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


# --- whose it is


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", VALUE),
        ("PUT", f"{OWN}/word"),
        ("GET", f"/v1/kv/riti/{FLEET}/blocked"),
        ("PUT", "/v1/agent/service/register"),
        ("PUT", f"/v1/agent/check/pass/box-{SALTO}"),
        ("POST", LOGIN),
        ("GET", DOCUMENT),
        ("GET", IDENTITY),
        ("GET", "/v1/auth/token/lookup-self"),
    ],
)
def test_a_token_without_the_certificate_opens_nothing(
    lab: Lab, consul_token: dict[str, str], vault_token: dict[str, str], method: str, path: str
) -> None:
    headers = consul_token | vault_token
    refuse(lab.ask(method, path, None, headers, b"" if method != "GET" else None), lab, 403)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", VALUE),
        ("PUT", f"{OWN}/generation"),
        ("PUT", f"/v1/kv/riti/{FLEET}/enroll/acme/salto/request"),
        ("GET", f"/v1/kv/riti/{FLEET}/enroll/acme/salto/reply"),
        ("PUT", f"/v1/agent/check/pass/service:box-{SALTO}"),
        ("PUT", f"/v1/agent/check/pass/service%3Abox-{SALTO}"),
        ("PUT", f"/v1/agent/service/deregister/box-{SALTO}"),
        ("GET", DOCUMENT),
    ],
)
def test_nor_does_it_with_another_boxs(
    lab: Lab, consul_token: dict[str, str], vault_token: dict[str, str], method: str, path: str
) -> None:
    headers = consul_token | vault_token
    body = b"" if method != "GET" else None
    for other in (RIVERA, PAYSANDU):
        refuse(lab.ask(method, path, lab.boxes[other], headers, body), lab, 403)


def test_a_forged_certificate_in_a_header_logs_nobody_in(lab: Lab, salto: BoxKey) -> None:
    """Certificates are public: what counts is the key, which the handshake asks for."""
    der = x509.load_pem_x509_certificate(salto.pem.encode()).public_bytes(Encoding.DER)
    said = base64.b64encode(der).decode()
    forged = {"Client-Cert": f":{said}:", "X-Forwarded-For": LOOPBACK}
    # OpenBao's own, by which it hands the certificate on within itself
    forged |= {"X-Processed-Tls-Client-Certificate": said, "X-Vault-Namespace": "root"}
    refuse(lab.ask("POST", LOGIN, None, forged, {"name": SALTO}), lab, 403)
    other = lab.boxes[RIVERA]
    assert lab.ask("POST", LOGIN, other, forged, {"name": SALTO}).status_code == 400
    answer = lab.ask("POST", LOGIN, other, forged, {})
    assert answer.json()["auth"]["metadata"]["common_name"] == RIVERA
    # past the gateway: the listener of everybody believes no header, and that of the gateway talks to it alone
    plain = f"{lab.record.vault_address}{LOGIN}"
    assert requests.post(plain, headers=forged, json={"name": SALTO}, timeout=30).status_code == 400
    made = vault.find_certificates(lab.record, lab.state)
    for cert in (None, salto.files):
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.post(
                f"{lab.record.vault_gateway_address}{LOGIN}",
                headers=forged,
                json={"name": SALTO},
                verify=str(made.authority),
                cert=cert,
                timeout=30,
            )


def copy_certificate(
    like: x509.Certificate, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    """All that another certificate says, of another key and signed by it."""
    copied = (
        x509.CertificateBuilder()
        .subject_name(like.subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(like.serial_number)
        .not_valid_before(like.not_valid_before_utc)
        .not_valid_after(like.not_valid_after_utc)
    )
    for extension in like.extensions:
        copied = copied.add_extension(extension.value, extension.critical)
    return copied.sign(key, hashes.SHA256())


def test_a_certificate_that_is_not_good_is_none(lab: Lab, consul_token: dict[str, str]) -> None:
    """Another key with the authority's words copied, one that signed itself, and one of the authority that is over."""
    like = x509.load_pem_x509_certificate(lab.boxes[SALTO].pem.encode())
    key = ec.generate_private_key(ec.SECP256R1())
    certificates = [copy_certificate(like, issuer, key) for issuer in (like.issuer, like.subject)]
    folder = lab.state / "boxes"
    bad = [write_pair(folder, SALTO, one.public_bytes(Encoding.PEM).decode(), key) for one in certificates]
    over = lab.make_box(SALTO, "1s")
    end = x509.load_pem_x509_certificate(over.pem.encode()).not_valid_after_utc
    log = find_log(lab.state, "gateway")
    wait_until(lambda: datetime.now(UTC) > end, DEADLINE_S, "waiting until it is over", log)
    for box in (*bad, over):
        refuse(lab.ask("GET", VALUE, box, consul_token), lab, 403)
        refuse(lab.ask("POST", LOGIN, box, body={"name": SALTO}), lab, 403)
        assert lab.read_log()[-1]["box"] == "-"
        # but a box whose certificate is over may enroll again
        said = {"AuthMethod": f"riti-claim-{FLEET}", "BearerToken": lab.write_claim(f"{FLEET}--acme--none")}
        assert (
            lab.ask("POST", "/v1/acl/login", box, body=said).headers["X-Consul-Default-Acl-Policy"] == "deny"
        )


@pytest.mark.parametrize(
    "said",
    [
        {"AuthMethod": "nomad-workloads", "BearerToken": "a.b.c"},
        {"AuthMethod": f"riti-claim-{FLEET}x", "BearerToken": "a.b.c"},
        {"AuthMethod": f"riti-claim-{FLEET}", "BearerToken": "a.b.c", "Meta": {}},
        f'{{"AuthMethod": "riti-claim-{FLEET}", "authmethod": "nomad-workloads", "BearerToken": "a"}}',
        f'{{"AuthMethod": "riti-claim-{FLEET}", "\\u0041uthMethod": "nomad-workloads", "BearerToken": "a"}}',
        f'{{"AuthMethod": "riti-claim-{FLEET}", "BearerToken": "a"}}{{"AuthMethod": "nomad-workloads"}}',
        "",
    ],
)
def test_other_login_methods_are_not_reached(lab: Lab, said: Any) -> None:
    refuse(lab.ask("POST", "/v1/acl/login", body=said), lab, 403, 413)


@pytest.mark.parametrize(
    "more",
    [
        {"Check": {"HTTP": "http://127.0.0.1:8200/v1/sys/seal", "Interval": "1s"}},
        {"Check": {"ttl": "90s", "tcp": "127.0.0.1:22"}},
        {"Check": {"Args": ["/bin/sh"], "Interval": "1s"}},
        {"Checks": [{"TTL": "90s"}]},
        {"Proxy": {"DestinationServiceName": "x"}},
        {"Kind": "connect-proxy"},
        {"Address": "10.0.0.1"},
        {"Name": f"riti-{FLEET}"},
    ],
)
def test_no_other_check_and_no_other_service_is_registered(
    lab: Lab, salto: BoxKey, consul_token: dict[str, str], more: dict[str, Any]
) -> None:
    """A check by HTTP would have Consul's agent ask whatever address the box names."""
    said = {"ID": f"box-{SALTO}", "Name": f"box-{SALTO}", **more}
    refuse(lab.ask("PUT", "/v1/agent/service/register", salto, consul_token, said), lab, 403)
    refuse(lab.ask("PUT", "/v1/agent/service/register", salto, consul_token, json.dumps(said)), lab, 403)


def test_neither_claim_nor_token_is_in_the_log(
    lab: Lab, salto: BoxKey, consul_token: dict[str, str], vault_token: dict[str, str]
) -> None:
    claim = lab.write_claim(SALTO)
    said = {"AuthMethod": f"riti-claim-{FLEET}", "BearerToken": claim}
    lab.ask("POST", "/v1/acl/login", body=said)
    token = consul_token["X-Consul-Token"]
    lab.ask("GET", f"{VALUE}?token={token}", salto, consul_token | vault_token)
    log = find_log(lab.state, "gateway").read_text()
    assert "consul-login" in log and SALTO in log
    for secret in (claim, claim.rpartition(".")[2], token, vault_token["X-Vault-Token"]):
        assert secret not in log


# --- how much


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


def send_raw(lab: Lab, box: BoxKey, text: str) -> int:
    """The status of what is answered to these very bytes; 0 where the connection ends without a word."""
    context = ssl.create_default_context(cafile=str(vault.find_certificates(lab.record, lab.state).authority))
    context.load_cert_chain(*box.files)
    host, _, port = lab.address.removeprefix("https://").partition(":")
    with (
        socket.create_connection((host, int(port)), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        wrapped.sendall(text.encode())
        answer = b""
        while part := wrapped.recv(4096):
            answer += part
    return int(answer.split()[1]) if answer else 0
