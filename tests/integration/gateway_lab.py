"""A gateway with a real Consul and a real OpenBao behind it, as a fleet's controller would have prepared them."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from ritilib.devstack.folders import find_cache
from ritilib.devstack.images.gateway.debian import unpack_haproxy, write_command
from ritilib.devstack.machine.setup import set_up
from ritilib.devstack.processes import Process, end_process, start_process, wait_until
from ritilib.devstack.record import LOOPBACK, Record, choose_ports, find_log, new_record
from ritilib.devstack.servers import consul, vault
from ritilib.devstack.servers.certificates import VAULT_NAME
from ritilib.fleet.gateway_file import Gateway
from ritilib.render.gateway import OWN_AUTHORITIES, render_proxy

FLEET = "gated"  # no other test of the session has it: its mounts are made here
DEADLINE_S = 30.0
TIMEOUT_S = 30
END_S = 20.0


@dataclass(frozen=True)
class BoxKey:
    """A box's certificate and key, in files as `requests` wants them."""

    unit: str
    files: tuple[str, str]
    pem: str = field(repr=False)


@dataclass
class Lab:
    """The servers, asked past the gateway with management tokens; and the gateway, asked as a box asks it."""

    state: Path
    record: Record
    process: Process | None = None
    address: str = ""
    figures: str = ""
    boxes: dict[str, BoxKey] = field(default_factory=dict)
    claims: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    # --- the servers

    def consul(self, method: str, path: str, body: Any = None, token: str = "") -> requests.Response:
        headers = {"X-Consul-Token": token or self.record.consul_token}
        url = f"{self.record.consul_address}/v1/{path}"
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        return requests.request(method, url, headers=headers, data=data, timeout=TIMEOUT_S)

    def vault(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"X-Vault-Token": self.record.vault_token}
        url = f"{self.record.vault_address}/v1/{path}"
        answer = requests.request(method, url, headers=headers, json=body, timeout=TIMEOUT_S)
        assert answer.ok, answer.text
        return answer.json() if answer.content else {}

    def allow(self, name: str, keys: dict[str, str], services: tuple[str, ...] = ()) -> None:
        """A policy and a role of that name in Consul."""
        rules = "\n".join(f'key "{key}" {{ policy = "{right}" }}' for key, right in keys.items())
        rules += "\n" + "\n".join(f'service "{one}" {{ policy = "write" }}' for one in services)
        assert self.consul("PUT", "acl/policy", {"Name": name, "Rules": rules}).ok
        assert self.consul("PUT", "acl/role", {"Name": name, "Policies": [{"Name": name}]}).ok

    def write_claim(self, unit: str, key: ec.EllipticCurvePrivateKey | None = None) -> str:
        """A claim as a card has it."""
        now = int(time.time())
        said = {"iss": "riti", "aud": "riti:fleet", "sub": unit, "unit": unit, "jti": uuid.uuid4().hex}
        return sign_jwt({**said, "iat": now, "nbf": now, "exp": now + 3600}, key or self.claims)

    def make_box(self, unit: str, ttl: str = "720h") -> BoxKey:
        """A certificate of the fleet's authority, as the controller has it signed."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, unit)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        pem = request.public_bytes(Encoding.PEM).decode()
        signed = self.vault(
            "POST", f"riti-pki-{FLEET}/sign/box", {"csr": pem, "common_name": unit, "ttl": ttl}
        )["data"]["certificate"]
        return write_pair(self.state / "boxes", unit, signed + "\n", key)

    def enter(self, unit: str) -> BoxKey:
        """A box that is bound: certificate, role in Vault, document, policies at both."""
        _, company, box = unit.split("--")
        key = f"{company}/{box}"
        made = self.make_box(unit)
        # bootstrap has the mount ask for a check-and-set, where a fleet was made at these servers before
        document = {"data": {"secret": f"of {key}"}, "options": {"cas": 0}}
        self.vault("POST", f"riti/data/{FLEET}/box/{key}", document)
        policy = f'path "riti/data/{FLEET}/box/{key}" {{ capabilities = ["read"] }}\n'
        policy += f'path "identity/oidc/token/riti-box-{FLEET}" {{ capabilities = ["read"] }}\n'
        self.vault("PUT", f"sys/policies/acl/box-{unit}", {"policy": policy})
        root = self.vault("GET", f"riti-pki-{FLEET}/cert/ca")["data"]["certificate"]
        role = {"certificate": root, "allowed_common_names": [unit], "token_policies": [f"box-{unit}"]}
        self.vault("POST", f"auth/riti-cert-{FLEET}/certs/{unit}", {**role, "token_ttl": "1h"})
        own = f"riti/{FLEET}/box/{key}"
        words = {f"{own}/{name}": "write" for name in ("word", "report", "generation")}
        value, turn = f"riti/{FLEET}/pbx/{key}/box/1", f"riti/{FLEET}/generation/{key}"
        image = f"riti/{FLEET}/image/{key}"
        shared = {value: "read", turn: "read", image: "read", f"riti/{FLEET}/blocked": "read"}
        self.allow(f"box-{unit}", words | shared, (f"box-{unit}",))
        assert self.consul("PUT", f"kv/{value}", b"the configuration").ok
        assert self.consul("PUT", f"kv/{turn}", b"whose turn it is").ok
        assert self.consul("PUT", f"kv/{image}", b"which image").ok
        return made

    # --- the gateway

    def ask(
        self,
        method: str,
        path: str,
        box: BoxKey | None = None,
        headers: dict[str, str] | None = None,
        body: Any = None,
        timeout_s: float = TIMEOUT_S,
    ) -> requests.Response:
        """path is sent as it stands: no library has mended it before."""
        with requests.Session() as session:
            asked = requests.Request(method, self.address, headers=headers, json=body)
            if isinstance(body, bytes | str):
                asked = requests.Request(method, self.address, headers=headers, data=body)
            prepared = session.prepare_request(asked)
            prepared.url = f"{self.address}{path}"
            authority = str(vault.find_certificates(self.record, self.state).authority)
            return session.send(
                prepared, verify=authority, cert=box.files if box else None, timeout=timeout_s
            )

    def log_in(self, box: BoxKey) -> str:
        """Vault's token of a box, got through the gateway."""
        answer = self.ask("POST", f"/v1/auth/riti-cert-{FLEET}/login", box, body={"name": box.unit})
        assert answer.ok, answer.text
        return str(answer.json()["auth"]["client_token"])

    def log_in_consul(self, box: BoxKey) -> str:
        """Consul's token of a box, by Vault's identity, got through the gateway."""
        path = f"/v1/identity/oidc/token/riti-box-{FLEET}"
        identity = self.ask("GET", path, box, {"X-Vault-Token": self.log_in(box)})
        assert identity.ok, identity.text
        said = {"AuthMethod": f"riti-box-{FLEET}", "BearerToken": identity.json()["data"]["token"]}
        answer = self.ask("POST", "/v1/acl/login", box, body=said)
        assert answer.ok, answer.text
        return str(answer.json()["SecretID"])

    def read_log(self) -> list[dict[str, Any]]:
        """The lines of the gateway's log that are of requests."""
        lines = find_log(self.state, "gateway").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def start_gateway(self, **more: Any) -> None:
        """Start it anew with what fleet.yaml would say; returns when it is ready."""
        self.stop_gateway()
        made = vault.find_certificates(self.record, self.state)
        ports = choose_ports(("https", "figures"))
        said = {
            "addresses": [f"https://{LOOPBACK}:{ports['https']}"],
            "consul": [self.record.consul_address],
            "vault": [self.record.vault_gateway_address],
            "vault_name": VAULT_NAME,
            "ca": made.authority.read_text(),
            "requests_per_s": 1000,
            "address_requests_per_s": 1000,
            **more,
        }
        secrets = self.state / "gateway"
        secrets.mkdir(exist_ok=True)
        root = self.vault("GET", f"riti-pki-{FLEET}/cert/ca")["data"]["certificate"]
        for name, text in {
            "boxes.pem": root,
            "gateway.pem": made.gateway.read_text(),
            "vault.pem": made.client.read_text(),
        }.items():
            (secrets / name).write_text(text)
        proxy = render_proxy(FLEET, Gateway.model_validate(said))
        proxy = proxy.replace("/secrets/", f"{secrets}/").replace(OWN_AUTHORITIES, str(made.authority))
        (secrets / "haproxy.cfg").write_text(proxy)
        self.address = f"https://{LOOPBACK}:{ports['https']}"
        self.figures = f"http://{LOOPBACK}:{ports['figures']}"
        command = write_command(unpack_haproxy(find_cache() / "images", print))
        log = find_log(self.state, "gateway")
        listen = {
            "RITI_LISTEN": f"{LOOPBACK}:{ports['https']}",
            "RITI_FIGURES": f"{LOOPBACK}:{ports['figures']}",
        }
        self.process = start_process([*command, "-db", "-f", str(secrets / "haproxy.cfg")], log, listen)
        wait_until(self.is_ready, DEADLINE_S, "waiting for the gateway", log, self.process)

    def is_ready(self) -> bool:
        return self.ask_figures("readyz") == 200

    def ask_figures(self, page: str) -> int:
        try:
            return requests.get(f"{self.figures}/{page}", timeout=TIMEOUT_S).status_code
        except requests.ConnectionError:
            return 0

    def stop_gateway(self) -> None:
        end_process(self.process, END_S)
        self.process = None


def sign_jwt(said: dict[str, Any], key: ec.EllipticCurvePrivateKey) -> str:
    """ES256, by the key itself: the test plays the authority."""
    parts = [json.dumps(one).encode() for one in ({"alg": "ES256", "typ": "JWT"}, said)]
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f"{text}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"


def write_pair(folder: Path, unit: str, pem: str, key: ec.EllipticCurvePrivateKey) -> BoxKey:
    folder.mkdir(exist_ok=True)
    crt, own = folder / f"{unit}-{uuid.uuid4().hex}.crt", folder / f"{unit}-{uuid.uuid4().hex}.key"
    crt.write_text(pem)
    own.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return BoxKey(unit, (str(crt), str(own)), pem)


@contextmanager
def hold_lab(state: Path) -> Iterator[Lab]:
    """Both servers and a gateway; they end with the block."""
    programs = set_up(find_cache(), print)
    record = new_record()
    record.slot = 250
    (state / "logs").mkdir(parents=True)
    lab = Lab(state, record)
    started = [consul.start_consul(programs.consul, record, state)]
    try:
        started.append(vault.start_vault(programs.bao, record, state))
        record.processes |= dict(zip(("consul", "vault"), started, strict=True))
        consul.prepare_consul(record, state)
        vault.prepare_vault(record, state)
        prepare(lab)
        lab.start_gateway()
        yield lab
    finally:
        lab.stop_gateway()
        for process in started:
            end_process(process, END_S)


def prepare(lab: Lab) -> None:
    """What the controller's end of enrollment makes in Vault and Consul."""
    held = lab.vault("GET", "sys/mounts")["data"]
    for path, kind in ((f"riti-pki-{FLEET}", "pki"), ("riti", "kv-v2")):
        if f"{path}/" not in held:
            lab.vault("POST", f"sys/mounts/{path}", {"type": kind, "config": {"max_lease_ttl": "87600h"}})
    root = {"common_name": f"riti {FLEET} boxes", "key_type": "ec", "key_bits": 256, "ttl": "87600h"}
    lab.vault("POST", f"riti-pki-{FLEET}/root/generate/internal", root)
    role = {"allow_any_name": True, "enforce_hostnames": False, "client_flag": True, "server_flag": False}
    lab.vault("POST", f"riti-pki-{FLEET}/roles/box", {**role, "key_type": "ec", "max_ttl": "720h"})
    lab.vault("POST", f"sys/auth/riti-cert-{FLEET}", {"type": "cert"})
    lab.vault("POST", f"identity/oidc/key/riti-{FLEET}", {"allowed_client_ids": ["*"], "algorithm": "ES256"})
    accessor = lab.vault("GET", "sys/auth")["data"][f"riti-cert-{FLEET}/"]["accessor"]
    template = f'{{"unit": {{{{identity.entity.aliases.{accessor}.name}}}}}}'
    token = {"key": f"riti-{FLEET}", "template": template, "client_id": "riti:fleet", "ttl": "15m"}
    lab.vault("POST", f"identity/oidc/role/riti-box-{FLEET}", token)
    public = lab.claims.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    jwks = f"{lab.record.vault_address}/v1/identity/oidc/.well-known/keys"
    for kind, by, rule in (
        ("claim", {"JWTValidationPubKeys": [public]}, "enroll-${value.unit}"),
        ("box", {"JWKSURL": jwks}, "box-${value.unit}"),
    ):
        config = {**by, "JWTSupportedAlgs": ["ES256"], "BoundAudiences": ["riti:fleet"]}
        method = {
            "Name": f"riti-{kind}-{FLEET}",
            "Type": "jwt",
            "TokenLocality": "local",
            "MaxTokenTTL": "15m",
        }
        config["ClaimMappings"] = {"unit": "unit"}
        assert lab.consul("PUT", "acl/auth-method", {**method, "Config": config}).ok
        bound = {"AuthMethod": method["Name"], "BindType": "role", "BindName": rule}
        assert lab.consul("PUT", "acl/binding-rule", bound).ok
    assert lab.consul("PUT", f"kv/riti/{FLEET}/blocked", b"[]").ok
