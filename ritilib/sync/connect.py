"""The clients of the three servers that a sync writes to."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ritilib.clients.consul import Consul
from ritilib.clients.nebula import Authority, OverlayTool
from ritilib.clients.nomad import Nomad
from ritilib.clients.protocols import VaultClient
from ritilib.clients.settings import Settings
from ritilib.clients.vault import Vault
from ritilib.sync.unit.apply import Servers
from ritilib.sync.unit.secrets import read_authority


def connect_authority(vault: VaultClient, fleet: str) -> Callable[[], Authority]:
    """The overlay's CA, read once and only when a certificate has to be signed."""
    return cache(lambda: read_authority(vault, fleet))


def connect_servers(settings: Settings, fleet: str, overlay: OverlayTool) -> Servers:
    """What a sync writes to: the servers with a leader's tokens, and what signs overlay certificates."""
    vault = Vault(settings)
    return Servers(Nomad(settings), Consul(settings), vault, overlay, connect_authority(vault, fleet))
