"""Generations of the configuration on the data partition: each one whole, and one link that says which is in force.

    configuration/
        asterisk -> current/asterisk      what Asterisk's container or service reads, as /local/asterisk
        current  -> generations/<identity>
        good                              the identity that the watcher acknowledged last
        refused.json                      the identity that is not tried again, and why
        generations/<identity>/           about.json, overlay.yml, asterisk/*, adapter/*

A generation never changes. To switch is to rename a link, so that at each moment, and after a power cut at any moment,
`current` is one whole generation. Asterisk must see the folder `configuration`, not `asterisk`: a mount of that one
would stay with the old generation.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ritilib.box.durable import link_durable, make_folder, sync_folder, write_durable, write_synced
from ritilib.box.live import OVERLAY, Configuration
from ritilib.reconcile.box_value import hash_box_files

_ABOUT = "about.json"
_NEW = "new-"  # no identity begins like this: it is hexadecimal


@dataclass(frozen=True)
class Generation:
    """What is known of a generation without reading its files.

    acknowledged and start as in Configuration; usual are the complaints that Asterisk had about it when it was tried,
    which the next one may have too. digest is over all its files.
    """

    identity: str
    sha256: str
    secrets_version: int
    commit: str
    acknowledged: Mapping[str, str]
    start: str
    digest: str
    usual: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A configuration that is not tried again until another comes: what and why, and when (seconds since 1970)."""

    identity: str
    why: str
    at_s: int


@dataclass(frozen=True)
class Held:
    """current is in force, or None where there is none; good the identity that was acknowledged last, "" for none."""

    current: Generation | None = None
    good: str = ""
    refused: Refusal | None = None

    @property
    def is_confirmed(self) -> bool:
        return self.current is not None and self.current.identity == self.good


_GENERATION = TypeAdapter(Generation)
_REFUSAL = TypeAdapter(Refusal)


class Generations:
    """The folder `configuration` of a box's data partition; group is Asterisk's, which may read it.

    Every method leaves a folder that boots, whenever the power goes. OSError where the disk does not take it.
    """

    def __init__(self, folder: Path, group: int | None = None) -> None:
        self.folder = folder
        self._group = group
        self._all = folder / "generations"

    def recover(self) -> Held:
        """To be called first: makes the folder, and where what is current is not whole takes the last good one."""
        for folder in (self.folder, self._all):
            make_folder(folder, 0o750, self._group)
        if not (self.folder / "asterisk").is_symlink():
            link_durable(self.folder / "asterisk", "current/asterisk")
        held = self.read()
        if held.current is None and held.good and self._read_generation(held.good):
            link_durable(self.folder / "current", f"generations/{held.good}")
            held = self.read()
        self._forget_others(held)
        return held

    def read(self) -> Held:
        """What the folder says; a generation that is not whole is none."""
        return Held(self._read_generation(self._read_current()), self._read_good(), self._read_refused())

    def read_files(self, identity: str) -> dict[str, str]:
        """Path below the generation → text."""
        return _read_files(self._all / identity)

    def stage(self, made: Configuration, usual: tuple[str, ...] = ()) -> Generation:
        """Write a configuration beside the one in force, down to the disk."""
        files = {
            **{f"asterisk/{name}": text for name, text in made.asterisk.items()},
            **{f"adapter/{name}": text for name, text in made.adapter.items()},
            OVERLAY: made.overlay,
        }
        one = Generation(
            made.identity,
            made.sha256,
            made.secrets_version,
            made.commit,
            dict(made.acknowledged),
            made.start,
            hash_box_files(files),
            usual,
        )
        target = self._all / one.identity
        held = self._read_generation(one.identity)
        if held and held.digest == one.digest:
            return held
        beside = self._all / f"{_NEW}{one.identity}"
        shutil.rmtree(beside, ignore_errors=True)
        make_folder(beside, 0o750, self._group)
        make_folder(beside / "asterisk", 0o750, self._group)
        make_folder(beside / "adapter", 0o700, None)
        for path, text in files.items():
            of_asterisk = path.startswith("asterisk/")
            write_synced(
                beside / path, text, 0o640 if of_asterisk else 0o600, self._group if of_asterisk else None
            )
        write_synced(beside / _ABOUT, json.dumps(asdict(one), sort_keys=True, indent=2) + "\n")
        for folder in (beside / "asterisk", beside / "adapter", beside):
            sync_folder(folder)
        shutil.rmtree(target, ignore_errors=True)  # it is not whole
        beside.rename(target)
        sync_folder(self._all)
        return one

    def switch(self, identity: str) -> Held:
        """Put a staged generation in force, in one step."""
        link_durable(self.folder / "current", f"generations/{identity}")
        return self.read()

    def confirm(self) -> Held:
        """What is current is the last good one from now on; older ones go."""
        identity = self._read_current()
        write_durable(self.folder / "good", identity + "\n")
        held = self.read()
        self._forget_others(held)
        return held

    def refuse(self, refusal: Refusal) -> Held:
        """Remember what is not to be tried again."""
        write_durable(self.folder / "refused.json", json.dumps(asdict(refusal), sort_keys=True) + "\n")
        return self.read()

    def _read_current(self) -> str:
        try:
            return os.readlink(self.folder / "current").rpartition("/")[2]
        except OSError:
            return ""

    def _read_good(self) -> str:
        try:
            return (self.folder / "good").read_text().strip()
        except (OSError, ValueError):
            return ""

    def _read_refused(self) -> Refusal | None:
        try:
            return _REFUSAL.validate_json((self.folder / "refused.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def _read_generation(self, identity: str) -> Generation | None:
        if not identity:
            return None
        try:
            one = _GENERATION.validate_json((self._all / identity / _ABOUT).read_bytes())
            return one if hash_box_files(self.read_files(identity)) == one.digest else None
        except (OSError, ValueError):  # a card that wears out gives bytes that are no text
            return None

    def _forget_others(self, held: Held) -> None:
        kept = {held.good, held.current.identity if held.current else ""}
        with suppress(OSError):
            for one in self._all.iterdir():
                if one.name not in kept:
                    shutil.rmtree(one, ignore_errors=True)


def _read_files(folder: Path) -> dict[str, str]:
    """All but what is said about them."""
    return {
        str(path.relative_to(folder)): path.read_bytes().decode()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != _ABOUT
    }
