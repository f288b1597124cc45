"""The gateway's settings must go together: what RITI runs needs Vault's listener, and each address once."""

from __future__ import annotations

from collections.abc import Iterator

from ritilib.errors import Problem
from ritilib.fleet.gateway_file import Gateway
from ritilib.fleet.source import Source


def judge_gateway(source: Source, said: Gateway | None) -> Iterator[Problem]:
    """What of the gateway's settings does not go together."""
    if said is None:
        return
    if said.image and not said.vault:
        mend = "add `vault` with the address of that listener (docs/gateway.md), or take `image` out"
        what = "a gateway that RITI runs needs Vault's listener for it"
        yield source.problem(("gateway", "image"), what, mend, "gateway-without-vault")
    for index, address in enumerate(said.addresses):
        if address in said.addresses[:index]:
            steps = ("gateway", "addresses", index)
            yield source.problem(steps, f"{address} is there twice", "take one out", "address-twice")
