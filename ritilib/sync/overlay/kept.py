"""The overlay's authorities as Vault holds them: one document, so that one compare-and-set moves all of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ritilib.clients.nebula import Authority
from ritilib.clients.protocols import VaultClient
from ritilib.errors import ServerError
from ritilib.reconcile.authority import Standing

READ_AGAIN_S = (
    5.0  # other threads of a leader may have gone a step further; reconcile.authority waits for longer
)
NAMES = ("generation", "phase", "edition", "next", "since", "renew_by")


@dataclass(frozen=True)
class Pair:
    """An authority's certificate and its key ("": it is not needed any more), two PEM texts."""

    crt: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Kept:
    """version is Vault's; signer makes certificates, and other is trusted beside it (None: nobody is)."""

    version: int
    standing: Standing
    signer: Pair
    other: Pair | None = None

    def encode(self) -> dict[str, Any]:
        """As it lies in Vault. What was never rotated says two texts and no more, as `riti bootstrap` writes it."""
        standing = self.standing
        said: dict[str, Any] = {"crt": self.signer.crt, "key": self.signer.key}
        if standing != Standing():
            said |= {name: getattr(standing, name) for name in NAMES}
        if self.other:
            said["other"] = {"crt": self.other.crt, "key": self.other.key}
        return said

    @property
    def authority(self) -> Authority:
        """What certificates are signed with, and what members are to trust."""
        crts = [self.signer.crt, *([self.other.crt] if self.other else [])]
        bundle = "".join(crt.rstrip("\n") + "\n" for crt in crts)
        standing = self.standing
        return Authority(
            self.signer.crt,
            self.signer.key,
            bundle if self.other else "",
            standing.generation,
            standing.edition,
            standing.since,
            standing.renew_by,
        )


def name_document(fleet: str) -> str:
    """The path of the document below the mount `riti`."""
    return f"{fleet}/overlay/ca"


def read_kept(vault: VaultClient, fleet: str) -> Kept:
    """What Vault holds; ServerError where `riti bootstrap` has not made it, or it is none that this version writes."""
    document = vault.read_document(name_document(fleet))
    if document is None:
        raise ServerError.because(f"Vault holds no overlay CA for {fleet}", "run `riti bootstrap` first")
    said = document.data
    try:
        other = said.get("other")
        return Kept(
            document.version,
            replace(Standing(), **{name: said[name] for name in NAMES if name in said}),
            Pair(said["crt"], said["key"]),
            Pair(other["crt"], other["key"]) if other else None,
        )
    except (KeyError, TypeError):
        what = f"riti/{name_document(fleet)} in Vault is no authority of an overlay"
        mend = f"see who wrote it: `bao kv rollback -mount=riti -version=N {name_document(fleet)}`"
        raise ServerError.because(what, mend) from None


def connect_authority(
    vault: VaultClient, fleet: str, monotonic: Callable[[], float] = time.monotonic
) -> Callable[[], Authority]:
    """What certificates are signed with, read when one is needed, and again where that is READ_AGAIN_S ago."""
    held: list[tuple[float, Authority]] = []

    def read() -> Authority:
        if not held or monotonic() - held[0][0] >= READ_AGAIN_S:
            began_s = monotonic()
            held[:] = [(began_s, read_kept(vault, fleet).authority)]
        return held[0][1]

    return read
