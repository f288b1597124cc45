"""fleet.yaml's `controller`: how the sync controller runs as a Nomad job."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from ritilib.fleet.kinds import Certificates, Frozen, ImageName, Slug

# https and http without a name in it, which would be a credential; ssh in both of Git's ways; a folder of the node
REMOTE_PATTERN = (
    r"^(https?://[^\s@/\"\\$%]+(/[^\s\"\\$%]*)?|ssh://[^\s\"\\$%:]+(:[0-9]+)?/[^\s\"\\$%]+"
    r"|[a-z_][a-z0-9_.-]*@[^\s\"\\$%:/]+:[^\s\"\\$%]+)$"
)
SERVER_PATTERN = (
    r"^https?://([A-Za-z0-9._-]+|\[[0-9a-f:]+\]|\$\{attr\.unique\.network\.ip-address\})(:[0-9]{1,5})?$"
)
HOST_KEY_PATTERN = (
    r"^[^\s\"\\$%#@|{}]+ (ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{40,}={0,2}$"
)
BRANCH_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$"
WORD_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
FORGE_URL_PATTERN = r"^https://[^\s@/\"\\$%?#]+(/[^\s\"\\$%?#]*)?$"
Remote = Annotated[str, StringConstraints(pattern=REMOTE_PATTERN, max_length=500)]
ServerAddress = Annotated[str, StringConstraints(pattern=SERVER_PATTERN, max_length=200)]
HostKey = Annotated[str, StringConstraints(pattern=HOST_KEY_PATTERN, max_length=1500)]
Branch = Annotated[str, StringConstraints(pattern=BRANCH_PATTERN, max_length=200)]
Word = Annotated[str, StringConstraints(pattern=WORD_PATTERN, max_length=64)]
ForgeUrl = Annotated[str, StringConstraints(pattern=FORGE_URL_PATTERN, max_length=500)]
Secret = Literal[
    "git_token",
    "git_key",
    "hook_github",
    "hook_gitea",
    "hook_gitlab",
    "forge_token",
    "notify_url",
    "notify_secret",
]


class Controller(Frozen):
    """The sync controller as a Nomad job: `riti controller job` writes it, `riti controller run` registers it."""

    image: ImageName
    """Image of the controller: `riti dev image controller` makes it."""
    remote: Remote
    """Address of this repository on the forge, without a credential: https://HOST/PATH.git or git@HOST:PATH.git."""
    branch: Branch = "main"
    """The branch that is followed."""
    count: Annotated[int, Field(ge=1, le=9, strict=True)] = 3
    """How many run at a time; one leads, the others follow when it ends."""
    port: Annotated[int, Field(ge=1, le=65535, strict=True)] | None = None
    """The same port at each node for hooks, health and figures, so that a node runs one; none: Nomad chooses."""
    namespace: Slug = "default"
    """Nomad's namespace of this job. Who may run jobs in it has the controller's rights: better one of its own."""
    node_pool: Word = "default"
    """Nomad's node pool that it runs in."""
    poll_s: Annotated[int, Field(ge=1, le=3600, strict=True)] = 30
    """Seconds between two looks at the repository; a hook is faster."""
    crew: Annotated[int, Field(ge=1, le=64, strict=True)] | None = None
    """How many units are applied at the same time; none: 8."""
    nomad_rate: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    """How many requests a second Nomad is sent at the most; none: as many as there are."""
    secrets: tuple[Secret, ...] = ()
    """Which keys of its document in Vault it is given, and so what it does: hooks, a credential for Git, telling."""
    forge: Literal["github", "gitea", "gitlab"] | None = None
    """The forge that is told how each commit fares, with `forge_token`."""
    forge_url: ForgeUrl | None = None
    """Its API's address, where it cannot be told from `remote`: https://HOST/api/v1."""
    user: Word = "git"
    """The name that goes with `git_token`; GitHub and Gitea take any, GitLab wants the token's."""
    known_hosts: tuple[HostKey, ...] = ()
    """The forge's SSH host keys, as `ssh-keyscan HOST` prints them, for `git_key`."""
    nomad: ServerAddress = "http://127.0.0.1:4646"
    """Nomad's address, as a node sees it."""
    consul: ServerAddress = "http://127.0.0.1:8500"
    """Consul's address, as a node sees it."""
    vault: ServerAddress = "http://127.0.0.1:8200"
    """Vault's address, as a node sees it."""
    ca: Certificates | None = None
    """Certificates (PEM) of the authority that signed those of Nomad, Consul and Vault; none: the public ones."""
    memory_mb: Annotated[int, Field(ge=64, le=65536, strict=True)] = 256
    """Memory of one instance in MB; one that takes more is ended, and started again."""
