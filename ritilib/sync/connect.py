"""The clients of the three servers that a sync writes to."""

from __future__ import annotations

from ritilib.clients.consul import Consul
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import Settings
from ritilib.clients.vault import Vault
from ritilib.sync.overlay.kept import connect_authority
from ritilib.sync.unit.apply import Servers


def connect_servers(settings: Settings, fleet: str, overlay: OverlayTool) -> Servers:
    """What a sync writes to: the servers with a leader's tokens, and what signs overlay certificates."""
    vault = Vault(settings)
    return Servers(Nomad(settings), Consul(settings), vault, overlay, connect_authority(vault, fleet))
