"""Which commit a leader applies, noted in Consul: whoever leads next goes on from it, whatever its own mirror knows.

Else an instance whose mirror is new, or has fetched nothing for days, would take a rewritten or an older commit for the
newest, and turn the fleet back.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from pydantic import TypeAdapter, ValidationError

from ritilib.clients.protocols import ConsulClient
from ritilib.errors import GitopsError
from ritilib.gitops.history import Accepted
from ritilib.sync.observe import Places

_ACCEPTED = TypeAdapter(Accepted)


def read_accepted(consul: ConsulClient, fleet: str) -> Accepted | None:
    """What a leader applied last; None where none has noted anything. GitopsError where it cannot be read."""
    entry = consul.read(Places(fleet).accepted)
    if entry is None:
        return None
    try:
        return _ACCEPTED.validate_json(entry.value)
    except ValidationError as error:
        what = f"{entry.key} in Consul does not say which commit was applied in the words of this version of RITI"
        mend = "see who wrote it, look at the branch's history, and remove the key: the next leader writes it again"
        raise GitopsError.because(what, mend) from error


def note_accepted(consul: ConsulClient, fleet: str, accepted: Accepted) -> None:
    """Write it, where something else is noted. Raises Conflict where another writes it too."""
    consul.put(
        Places(fleet).accepted, (json.dumps(asdict(accepted), indent=1, sort_keys=True) + "\n").encode()
    )
