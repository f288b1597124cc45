"""What a box asks of Consul and Vault, each by one request to the gateway."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ritilib.box.gateway import Answer, Gateway
from ritilib.errors import Denied, ServerError, Unreachable
from ritilib.render.names import EnrollmentNames, UnitNames

WAIT_S = 60.0  # of a blocking query: shorter than what a provider's NAT forgets a silent connection after
_NOT_LET_IN = (400, 403)  # Vault says 400 to a certificate that no role admits


@dataclass(frozen=True)
class Value:
    """One key of Consul: index is what a compare-and-set names (0: it is not there), moved what a watch waits from."""

    index: int
    moved: int
    data: bytes = field(repr=False)

    @property
    def is_there(self) -> bool:
        return self.index > 0


class Servers(Protocol):
    """See GatewayServers."""

    def use_certificate(self, certificate: Path, key: Path) -> None: ...
    def login_by_claim(self, claim: str) -> str: ...
    def login_by_certificate(self) -> str: ...
    def take_jwt(self, vault_token: str) -> str: ...
    def login_by_jwt(self, jwt: str) -> str: ...
    def read(self, token: str, key: str) -> Value: ...
    def watch(self, token: str, key: str, moved: int) -> Value: ...
    def put(self, token: str, key: str, data: bytes, index: int | None = None) -> bool: ...
    def has_document(self, vault_token: str) -> bool: ...
    def end_consul(self, token: str) -> None: ...
    def end_vault(self, vault_token: str) -> None: ...


class GatewayServers:
    """One box's requests. Methods raise as Gateway's do."""

    def __init__(self, gateway: Gateway, names: UnitNames, datacenter: str = "") -> None:
        self._gateway, self._names = gateway, names
        self._fleet = EnrollmentNames(names.fleet)
        self._datacenter = {"dc": datacenter} if datacenter else {}

    def use_certificate(self, certificate: Path, key: Path) -> None:
        """Show this certificate from now on: but for what it takes to be bound, nothing is answered without."""
        self._gateway.use_certificate(certificate, key)

    def login_by_claim(self, claim: str) -> str:
        """A token of Consul for the card's claim, good for 15 minutes at the most. Denied where no role is for it."""
        return self._login(self._fleet.claim_method, claim)

    def login_by_jwt(self, jwt: str) -> str:
        """The box's own token of Consul, good for an hour at the most."""
        return self._login(self._fleet.box_method, jwt)

    def login_by_certificate(self) -> str:
        """A token of Vault for the box's certificate. Denied where no role admits it."""
        asked = "log in to Vault"
        body = json.dumps({"name": self._names.job_id}).encode()
        path = f"/v1/auth/{self._fleet.cert_mount}/login"
        answer = self._gateway.ask("POST", path, asked, body=body, accepted=_NOT_LET_IN)
        if answer.status in _NOT_LET_IN:
            what = f"Vault does not let this box in by its certificate: status {answer.status}"
            raise Denied.because(what, "see that the box is in the fleet, and not revoked")
        return str(_find(answer, "auth", "client_token"))

    def take_jwt(self, vault_token: str) -> str:
        """Vault's word on who this box is, for Consul."""
        path = f"/v1/identity/oidc/token/{self._fleet.oidc_role}"
        answer = self._gateway.ask("GET", path, "ask Vault for a word to Consul", _vault(vault_token))
        return str(_find(answer, "data", "token"))

    def read(self, token: str, key: str) -> Value:
        """A key as it is now."""
        return self._read(token, key, {}, 0.0)

    def watch(self, token: str, key: str, moved: int) -> Value:
        """A key when it is another than at that index, or after a minute."""
        query = {"index": str(moved), "wait": f"{WAIT_S:.0f}s"} if moved else {}
        return self._read(token, key, query, WAIT_S)

    def put(self, token: str, key: str, data: bytes, index: int | None = None) -> bool:
        """Write a key that has this index (0: that is not there; None: whatever it has); whether it was written."""
        query = {} if index is None else {"cas": str(index)}
        path, asked = f"/v1/kv/{key}", f"write key {key}"
        answer = self._gateway.ask("PUT", path, asked, _consul(token), data, {**query, **self._datacenter})
        return answer.data.strip() == b"true"

    def has_document(self, vault_token: str) -> bool:
        """Whether the box's document is there yet; it and the right to read it come with the box's PBX."""
        path = f"/v1/{self._names.box_vault_path}"
        asked = "read the box's document"
        answer = self._gateway.ask("GET", path, asked, _vault(vault_token), accepted=(403, 404))
        return answer.status == 200

    def end_consul(self, token: str) -> None:
        """Make a token of a login worthless; one that is so already is fine."""
        self._gateway.ask("POST", "/v1/acl/logout", "log out of Consul", _consul(token), accepted=(401, 403))

    def end_vault(self, vault_token: str) -> None:
        """Make a token of Vault worthless; one that is so already is fine."""
        path = "/v1/auth/token/revoke-self"
        self._gateway.ask("POST", path, "log out of Vault", _vault(vault_token), accepted=(403,))

    def _login(self, auth_method: str, jwt: str) -> str:
        body = json.dumps({"AuthMethod": auth_method, "BearerToken": jwt}).encode()
        asked = f"log in through {auth_method}"
        answer = self._gateway.ask(
            "POST", "/v1/acl/login", asked, body=body, query=self._datacenter, accepted=(500,)
        )
        if answer.status == 500:  # so Consul 1.15 says that it is expired, or by a key that it does not know
            if b"validat" in answer.data:
                what = f"Consul does not take it ({asked}): {answer.data[:120].decode(errors='replace')}"
                raise Denied.because(what, "see that the card is of this fleet, and not too old")
            raise Unreachable.because(f"Consul cannot answer ({asked})", "wait until it is well")
        return str(_find(answer, "SecretID"))

    def _read(self, token: str, key: str, query: dict[str, str], wait_s: float) -> Value:
        asked = f"read key {key}"
        answer = self._gateway.ask(
            "GET",
            f"/v1/kv/{key}",
            asked,
            _consul(token),
            query={**query, **self._datacenter},
            wait_s=wait_s,
            accepted=(404,),
        )
        moved = int(answer.headers.get("X-Consul-Index", "0"))
        if answer.status == 404:
            return Value(0, moved, b"")
        found = answer.decode()[0]
        return Value(int(found["ModifyIndex"]), moved, base64.b64decode(found["Value"] or ""))


def _consul(token: str) -> dict[str, str]:
    return {"X-Consul-Token": token}


def _vault(token: str) -> dict[str, str]:
    return {"X-Vault-Token": token}


def _find(answer: Answer, *path: str) -> Any:
    held = answer.decode()
    try:
        for name in path:
            held = held[name]
    except (KeyError, TypeError):
        raise ServerError.because("the gateway's answer lacks what was asked for", "see its log") from None
    return held
