"""The gateway for boxes: HAProxy's configuration, and the Nomad job around it, from fleet.yaml alone.

Like the controller's, its job stands in no manifest and no sync applies it: whatever is merged, a wrong commit cannot
cut every box off from the configuration that would take it back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.gateway_file import Gateway
from ritilib.fleet.kinds import SLUG_PATTERN
from ritilib.render.language import config_environment, job_environment
from ritilib.render.names import GatewayNames

USER_ID = 10001  # of the image's own account
# Bytes. What a box sends is smaller (a request with claim, keys and signature has 4 KB), and with the headers it must
# fit into one buffer of 32768, since what is looked into is looked into whole.
LONGEST_BODY = 16384
# New connections of one source address in ten seconds: a thousand boxes behind one address that all come back at once
# are through in a minute.
CONNECTION_RATE = 200
PUBLIC_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
OWN_AUTHORITIES = "/local/ca.pem"
_PORTS = {"http": 80, "https": 443}


def render_gateway(fleet: FleetFile, said: Gateway) -> str:
    """The job in HCL. The same fleet gives the same bytes, and no secret stands in them."""
    return (
        job_environment()
        .get_template("gateway/job.nomad.hcl.j2")
        .render(
            fleet=fleet,
            said=said,
            names=GatewayNames(fleet.name),
            user_id=USER_ID,
            proxy=render_proxy(fleet.name, said),
        )
    )


def render_proxy(fleet: str, said: Gateway) -> str:
    """HAProxy's configuration. It reads its certificates from /secrets, and where to listen from its environment."""
    consul = _list_servers("consul", said.consul, said.consul_name)
    vault = _list_servers("vault", said.vault, said.vault_name)
    authorities = OWN_AUTHORITIES if said.ca else PUBLIC_AUTHORITIES
    return (
        config_environment()
        .get_template("gateway/haproxy.cfg.j2")
        .render(
            fleet=fleet,
            said=said,
            slug=SLUG_PATTERN.removeprefix("^").removesuffix("$"),
            longest_body=LONGEST_BODY,
            connection_rate=CONNECTION_RATE,
            consul=consul,
            vault=vault,
            authorities=authorities,
            names=any(server["named"] for server in (*consul, *vault)),
        )
    )


def _list_servers(kind: str, addresses: Iterable[str], certified: str | None) -> list[dict[str, Any]]:
    """name, place and further words of each server; an address by name is asked for again while HAProxy runs."""
    servers = []
    for index, address in enumerate(addresses):
        parts = urlsplit(address)
        host = parts.hostname or ""
        named = not (host.replace(".", "").isdigit() or ":" in host)
        place = f"[{host}]" if ":" in host else host
        more = " resolvers node init-addr last,libc,none" if named else ""
        if parts.scheme == "https" and (certified or named):
            more += f" verifyhost {certified or host}"
        servers.append(
            {
                "name": f"{kind}-{index + 1}",
                "place": f"{place}:{parts.port or _PORTS[parts.scheme]}",
                "is_tls": parts.scheme == "https",
                "named": named,
                "more": more,
            }
        )
    return servers
