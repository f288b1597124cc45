"""What the watcher beside the box's Asterisk says: calls, the link, which configuration is in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ValidationError

from ritilib.box.swap import Generation

STALE_AFTER_S = 15.0  # jobs/pbx/watcher/state.go: a state that nobody has confirmed for so long says nothing


class _Acknowledged(BaseModel):
    sha256: str
    secrets: int = 0


class _Said(BaseModel):
    """The part of jobs/pbx/watcher/state.go that decisions are made of."""

    manager: str
    channels: int
    link: str
    acknowledged: dict[str, _Acknowledged]
    unacknowledged: dict[str, str]
    deaf: str = ""
    started: str = ""


@dataclass(frozen=True)
class Word:
    """is_up: Asterisk answers its watcher; without that nothing else is known.

    acknowledged: file → SHA-256 of what was rendered; secrets_version those of the links. problems: file → why it is
    not in force. started: the hash of what Asterisk read at its start.
    """

    is_up: bool = False
    channels: int = 0
    link: str = "unknown"
    acknowledged: Mapping[str, str] = field(default_factory=dict)
    secrets_version: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)
    started: str = ""

    @property
    def is_busy(self) -> bool:
        return self.is_up and self.channels > 0


SILENT = Word()


def understand_word(said: bytes | None, age_s: float) -> Word:
    """The watcher's state as it stands in its file (None: there is none), confirmed so many seconds ago."""
    if said is None or age_s > STALE_AFTER_S:
        return SILENT
    try:
        found = _Said.model_validate_json(said)
    except ValidationError:
        return SILENT  # another version's, or cut short
    if found.manager != "up":
        return SILENT
    return Word(
        True,
        found.channels,
        found.link,
        {name: one.sha256 for name, one in found.acknowledged.items()},
        found.acknowledged["iax.conf"].secrets if "iax.conf" in found.acknowledged else 0,
        {
            **found.unacknowledged,
            **({"iax.conf": f"Asterisk does not listen at {found.deaf}"} if found.deaf else {}),
        },
        found.started,
    )


def is_in_force(one: Generation, word: Word) -> bool:
    """Whether the running Asterisk has all of this generation, and nothing wrong with it."""
    return (
        word.is_up
        and not word.problems
        and word.started == one.start
        and word.secrets_version == one.secrets_version
        and all(word.acknowledged.get(name) == sha256 for name, sha256 in one.acknowledged.items())
    )


def explain(one: Generation, word: Word) -> str:
    """Why it is not in force, in words for `riti status`."""
    if not word.is_up:
        return "Asterisk does not answer its watcher"
    if word.problems:
        return "; ".join(f"{name}: {why}" for name, why in sorted(word.problems.items()))
    if word.started != one.start:
        return "Asterisk has not started anew with it"
    others = sorted(
        name for name, sha256 in one.acknowledged.items() if word.acknowledged.get(name) != sha256
    )
    return f"not taken over: {', '.join(others) or 'the secrets'}"
