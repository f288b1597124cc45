"""An office of the lab with what enrollment will bring it: a certificate of the overlay, its document in Vault."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from ritilib.clients.docker import Docker
from ritilib.clients.nebula import Authority, OverlayTool
from ritilib.clients.vault import Document
from ritilib.devstack.telephony.office import Office, start_office
from ritilib.devstack.telephony.office_files import OverlayIdentity

CERTIFICATE_HOURS = 24  # the lab's boxes live for minutes; enrollment will give them thirty days


def start_enrolled(
    docker: Docker,
    key: str,
    rendered: Mapping[str, str],
    document: Document,
    tool: OverlayTool,
    authority: Authority,
    folder: Path,
    label: str,
    report: Callable[[str], None],
    generation: int,
) -> Office:
    """Start the office of the box "acme/salto" (start_office); authority is the overlay's, generation that of its PBX.

    Raises as start_office.
    """
    identity = json.loads(rendered["secrets.json"])["overlay"]
    made = tool.make_key()
    crt = tool.sign(
        authority,
        made.public,
        identity["name"],
        identity["network"],
        tuple(identity["groups"]),
        CERTIFICATE_HOURS,
    )
    name = key.replace("/", "-")
    return start_office(
        docker,
        name=name,
        rendered=rendered,
        secrets=document.data,
        identity=OverlayIdentity(key=made.private, crt=crt, ca=authority.crt),
        address=identity["network"].split("/")[0],
        folder=folder / name,
        label=label,
        report=report,
        version=document.version,
        generation=generation,
    )
