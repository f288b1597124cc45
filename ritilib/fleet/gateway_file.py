"""fleet.yaml's `gateway`: where boxes reach Consul and Vault, and how the gateway runs as a Nomad job."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from ritilib.fleet.controller_file import Word
from ritilib.fleet.kinds import Certificates, Frozen, ImageName, Slug

_HOST = r"([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-f:]+\])"
GATEWAY_PATTERN = rf"^https://{_HOST}(:[0-9]{{1,5}})?$"
BEHIND_PATTERN = rf"^https?://{_HOST}(:[0-9]{{1,5}})?$"
HOST_NAME_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$"
GatewayAddress = Annotated[str, StringConstraints(pattern=GATEWAY_PATTERN, max_length=200)]
BehindAddress = Annotated[str, StringConstraints(pattern=BEHIND_PATTERN, max_length=200)]
HostName = Annotated[str, StringConstraints(pattern=HOST_NAME_PATTERN, max_length=200)]


class Gateway(Frozen):
    """The gateway for boxes: `riti gateway job` writes it, `riti gateway run` registers it."""

    addresses: Annotated[tuple[GatewayAddress, ...], Field(min_length=1)]
    """Where boxes reach it, https://NAME[:PORT], written onto each card; have two, in different places."""
    image: ImageName | None = None
    """Image of the gateway: `riti dev image gateway` makes it; none: the gateway is run otherwise."""
    count: Annotated[int, Field(ge=1, le=9, strict=True)] = 2
    """How many run at a time."""
    port: Annotated[int, Field(ge=1024, le=65535, strict=True)] | None = None
    """The same TCP port at each node, so that a node runs one; none: Nomad chooses."""
    namespace: Slug = "default"
    """Nomad's namespace of this job. Who may run jobs in it can read the gateway's key: better one of its own."""
    node_pool: Word = "default"
    """Nomad's node pool that it runs in: nodes that the public network reaches."""
    consul: Annotated[tuple[BehindAddress, ...], Field(min_length=1)] = ("http://127.0.0.1:8500",)
    """Consul's addresses, as a node sees them; those that do not answer are left out."""
    consul_name: HostName | None = None
    """The name in Consul's certificate, for https; none: the one in the address."""
    vault: tuple[GatewayAddress, ...] = ()
    """Vault's listeners that take a box's certificate from the gateway alone (docs/gateway.md)."""
    vault_name: HostName | None = None
    """The name in Vault's certificate; none: the one in the address."""
    ca: Certificates | None = None
    """Certificates (PEM) of the authority that signed those of Consul and Vault; none: the public ones."""
    requests_per_s: Annotated[int, Field(ge=1, le=1000, strict=True)] = 5
    """Requests a second of one box, over ten seconds; what is more gets 429."""
    address_requests_per_s: Annotated[int, Field(ge=1, le=100_000, strict=True)] = 50
    """The same for all boxes together that have no certificate yet and come from one address."""
    connections: Annotated[int, Field(ge=10, le=200_000, strict=True)] = 4000
    """Connections of one instance; a box holds up to four. More wait."""
    memory_mb: Annotated[int, Field(ge=64, le=65536, strict=True)] = 512
    """Memory of one instance in MB; one that takes more is ended, and started again."""
