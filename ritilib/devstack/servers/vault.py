"""The stack's Vault: OpenBao with its data on disk, unsealed by itself from a key file."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from ritilib.devstack.folders import write_private
from ritilib.devstack.processes import Process, start_process, wait_until
from ritilib.devstack.record import LOOPBACK, Record, find_log, write_record
from ritilib.devstack.servers.certificates import Certificates, make_certificates
from ritilib.devstack.servers.http_api import call, expect
from ritilib.errors import DevstackError

READY_S = 60.0
HEADER = "X-Vault-Token"
SEAL_KEY_BYTES = 32


def configure(record: Record, state: Path) -> dict[str, Any]:
    """OpenBao's configuration: raft storage, static-key seal, plain HTTP on loopback, a listener for the gateway."""
    folder = state / "vault"
    return {
        "storage": {
            "raft": {"path": str(folder / "data"), "node_id": "riti-dev", "performance_multiplier": "1"}
        },
        "listener": [
            {"tcp": {"address": f"{LOOPBACK}:{record.ports['vault_http']}", "tls_disable": True}},
            {"tcp": _listen_to_gateway(record, state)},
        ],
        "seal": {"static": {"current_key_id": "riti-dev", "current_key": f"file://{folder / 'seal.key'}"}},
        "api_addr": record.vault_address,
        "cluster_addr": f"http://{LOOPBACK}:{record.ports['vault_cluster']}",
        "ui": False,
        "log_level": "info",
    }


def find_certificates(record: Record, state: Path) -> Certificates:
    """The stack's certificates, made now where they are not there."""
    folder = state / "vault" / "certificates" / str(record.slot)  # another slot has another public address
    return make_certificates(folder, (LOOPBACK, record.network.public_address))


def _listen_to_gateway(record: Record, state: Path) -> dict[str, Any]:
    """The listener that believes the certificate in a header: it talks to nobody but the gateway (docs/gateway.md)."""
    made = find_certificates(record, state)
    return {
        "address": f"{LOOPBACK}:{record.ports['vault_gateway']}",
        "tls_cert_file": str(made.vault),
        "tls_key_file": str(made.vault),
        "tls_client_ca_file": str(made.authority),
        "tls_require_and_verify_client_cert": True,
        "x_forwarded_for_authorized_addrs": LOOPBACK,
        "x_forwarded_for_reject_not_present": True,
        "x_forwarded_for_reject_not_authorized": True,
        "x_forwarded_for_client_cert_header": "Client-Cert",
        "x_forwarded_for_client_cert_decoders": ["RFC9440"],
    }


def start_vault(program: Path, record: Record, state: Path) -> Process:
    folder = state / "vault"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    key = folder / "seal.key"
    if not key.exists():
        beside = key.with_name("seal.key.new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(SEAL_KEY_BYTES))
        beside.rename(key)
    write_private(folder / "vault.json", json.dumps(configure(record, state), indent=2))
    argv = [str(program), "server", f"-config={folder / 'vault.json'}"]
    return start_process(argv, find_log(state, "vault"))


def is_ready(record: Record) -> bool:
    """Whether it is initialized, unsealed and active, and knows the root token."""
    if call("GET", f"{record.vault_address}/v1/sys/health")[0] != 200:
        return False
    url = f"{record.vault_address}/v1/auth/token/lookup-self"
    return call("GET", url, HEADER, record.vault_token)[0] == 200


def prepare_vault(record: Record, state: Path) -> None:
    """Initialize it where it is new, and wait until the root token works."""
    log, process = find_log(state, "vault"), record.processes.get("vault")
    url = f"{record.vault_address}/v1/sys/init"
    wait_until(lambda: call("GET", url)[0] == 200, READY_S, "waiting for OpenBao to listen", log, process)
    if not call("GET", url)[1]["initialized"]:
        status, made = call("PUT", url, body={"recovery_shares": 1, "recovery_threshold": 1})
        made = expect(status, made, "OpenBao was not initialized")
        record.vault_token = made["root_token"]
        record.vault_recovery_keys = made["recovery_keys_base64"]
        write_record(state, record)
    if not record.vault_token:
        raise DevstackError.because(
            f"OpenBao in {state / 'vault'} was initialized by a command that did not live to keep its token",
            "throw its data away and start again: riti dev down --purge",
        )
    wait_until(lambda: is_ready(record), READY_S, "waiting for OpenBao to unseal itself", log, process)
