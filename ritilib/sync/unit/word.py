"""A PBX's own word: what its watcher says of calls and of the configuration in force, read through Nomad."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from ritilib.clients.protocols import NomadClient
from ritilib.reconcile.state import hash_text

WORD_FILE = "alloc/data/pbx.json"  # jobs/pbx/job.nomad.hcl.j2 has the watcher write it there
_LINKS = "iax.conf"
LOOKS = 10


class _Acknowledged(BaseModel):
    sha256: str
    secrets: int = 0


class _Said(BaseModel):
    """The part of jobs/pbx/watcher/state.go that decisions are made of."""

    status: str
    channels: int
    acknowledged: dict[str, _Acknowledged]
    unacknowledged: dict[str, str]
    deaf: str = ""
    link: str = "unknown"


@dataclass(frozen=True)
class Word:
    """channels: None where the watcher does not know. acknowledged: file → SHA-256 of the text that is in force.

    problems: why it is not healthy; () where it is. is_running: whether there is a PBX at all. secrets_version: of its
    document in Vault, whose secrets its links have (0: none). is_linked: whether its box answers it.
    """

    channels: int | None
    acknowledged: Mapping[str, str]
    problems: tuple[str, ...]
    is_running: bool = True
    secrets_version: int = 0
    is_linked: bool = False

    def has_in_force(self, files: Mapping[str, str]) -> bool:
        """Whether these texts are what it acknowledges."""
        return all(self.acknowledged.get(name) == hash_text(text) for name, text in files.items())


@dataclass
class Speaker:
    """A job's newest running allocation, whose word is read again and again: it is looked for again only every LOOKS
    times, since another may have taken its place."""

    nomad: NomadClient
    job_id: str

    def __post_init__(self) -> None:
        self._allocation, self._looks = "", 0

    def read(self) -> Word | None:
        """What it says; None where it has said nothing yet.

        The word may be old: a watcher that is gone leaves its last one. So nothing is concluded from an idle one before
        it has acknowledged what was just written.
        """
        if self._looks % LOOKS == 0 or not self._allocation:
            running = self.nomad.find_running(self.job_id)
            self._allocation = running[-1] if running else ""
        self._looks += 1
        if not self._allocation:
            return Word(0, {}, ("no allocation of it runs",), is_running=False)
        said = self.nomad.read_alloc_file(self._allocation, WORD_FILE)
        return understand_word(said, WORD_FILE) if said else None


def read_word(nomad: NomadClient, job_id: str) -> Word | None:
    """What the job's newest running allocation says now, as Speaker.read."""
    return Speaker(nomad, job_id).read()


def understand_word(said: bytes, place: str) -> Word:
    """What a watcher's state says, a PBX's or a box's; place is where it stood."""
    try:
        found = _Said.model_validate(json.loads(said))
    except (ValueError, ValidationError):
        return Word(None, {}, (f"{place} is not as this version's watcher writes it",))
    problems = [f"{name}: {why}" for name, why in sorted(found.unacknowledged.items())]
    if found.deaf:
        problems.append(f"Asterisk does not listen at {found.deaf}")
    if found.status == "unknown":
        problems.append("Asterisk does not answer its watcher")
    return Word(
        None if found.status == "unknown" else found.channels,
        {name: one.sha256 for name, one in found.acknowledged.items()},
        tuple(problems),
        secrets_version=found.acknowledged[_LINKS].secrets if _LINKS in found.acknowledged else 0,
        is_linked=found.link == "up",
    )
