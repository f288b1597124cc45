"""The gateway for boxes on the local stack: what fleet.yaml says of it there, and its secrets."""

from __future__ import annotations

from typing import Any

from ritilib.clients.protocols import VaultClient
from ritilib.devstack.images.gateway.build import IMAGE
from ritilib.devstack.servers.certificates import VAULT_NAME
from ritilib.devstack.stack import Stack
from ritilib.render.names import GatewayNames

GATEWAY_PORT = 8443  # at the stack's own public address, so no other stack has it


def describe_gateway(stack: Stack) -> dict[str, Any]:
    """fleet.yaml's `gateway` for this stack, whose one node can hold one instance at a port that is known before."""
    return {
        "addresses": [f"https://{stack.public_address}:{GATEWAY_PORT}"],
        "image": IMAGE,
        "count": 1,
        "port": GATEWAY_PORT,
        "consul": [stack.consul_address],
        "vault": [stack.vault_gateway_address],
        "vault_name": VAULT_NAME,
        "ca": stack.certificates.authority.read_text(),
        # a hundred boxes of one lab share the node's address
        "address_requests_per_s": 1000,
    }


def write_gateway_secrets(stack: Stack, vault: VaultClient, fleet: str) -> None:
    """The document that the gateway's task reads; again without harm."""
    document = GatewayNames(fleet).document
    said = {
        "certificate": stack.certificates.gateway.read_text(),
        "vault_client": stack.certificates.client.read_text(),
    }
    held = vault.read_document(document)
    if held is None or held.data != said:
        vault.write_document(document, said, held.version if held else 0)
