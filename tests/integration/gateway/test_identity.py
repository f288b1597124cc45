"""Whose it is: what a certificate opens at the gateway, and that no token, header or name opens it instead."""

from __future__ import annotations

import base64
import json
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
from tests.integration.gateway.asking import DOCUMENT, IDENTITY, OWN, PAYSANDU, RIVERA, SALTO, VALUE, refuse
from tests.integration.gateway_lab import DEADLINE_S, FLEET, BoxKey, Lab, write_pair

LOGIN = f"/v1/auth/riti-cert-{FLEET}/login"


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
