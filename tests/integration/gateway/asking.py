"""Three boxes and the paths of one of them; what is sent to the gateway byte by byte, and what it refuses by itself."""

from __future__ import annotations

import socket
import ssl

import requests

from ritilib.devstack.processes import wait_until
from ritilib.devstack.record import find_log
from ritilib.devstack.servers import vault
from tests.integration.gateway_lab import DEADLINE_S, FLEET, BoxKey, Lab

SALTO, RIVERA, PAYSANDU = f"{FLEET}--acme--salto", f"{FLEET}--acme--rivera", f"{FLEET}--zorro--paysandu"
OWN = f"/v1/kv/riti/{FLEET}/box/acme/salto"
VALUE = f"/v1/kv/riti/{FLEET}/pbx/acme/salto/box/1"
IDENTITY = f"/v1/identity/oidc/token/riti-box-{FLEET}"
DOCUMENT = f"/v1/riti/data/{FLEET}/box/acme/salto"
NO_SERVER = "<NOSRV>"


def refuse(answer: requests.Response, lab: Lab, *statuses: int) -> None:
    """The gateway itself said no, and no server was asked."""
    assert answer.status_code in statuses, answer.text

    def has_told() -> bool:
        told = (line["server"] for line in reversed(lab.read_log()) if line["status"] == answer.status_code)
        return next(told, "") == NO_SERVER

    # its line is written after its answer
    wait_until(has_told, DEADLINE_S, "waiting until the gateway tells of it", find_log(lab.state, "gateway"))


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
