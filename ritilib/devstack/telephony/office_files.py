"""The files of an office: secrets in memory, the box's configuration, and which change needs which reload."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ritilib.errors import DevstackError, Problem

_MEMORY = Path("/dev/shm")  # a tmpfs on every Linux: what is secret never reaches a disk

# All of these leave a running call alone (TELEPHONY.md, Reloads). Asterisk 22 has no `pjsip reload`.
RELOADS = {
    "extensions.conf": "dialplan reload",
    "iax.conf": "iax2 reload",
    "pjsip.conf": "module reload res_pjsip.so",
    "voicemail.conf": "voicemail reload",
}


@dataclass(frozen=True)
class OverlayIdentity:
    """A member of the overlay, all PEM: its private key, its certificate, and that of the authority."""

    key: str = field(repr=False)
    crt: str
    ca: str


def find_secrets_folder(label: str, name: str) -> Path:
    """Where the secrets of an office lie; with name "" those of all offices of the label."""
    return _MEMORY / f"riti-{label}" / name


def remove_secrets(label: str, name: str) -> None:
    shutil.rmtree(find_secrets_folder(label, name), ignore_errors=True)
    parent = find_secrets_folder(label, "")
    if parent.is_dir() and not any(parent.iterdir()):
        parent.rmdir()


def find_reloads(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """The commands by which a running Asterisk takes over the new files, in an order that leaves no gap.

    Peers, telephones and mailboxes come before the dial plan that names them. Raises DevstackError, naming each file,
    where a change needs a restart.
    """
    changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    if stuck := sorted(changed - RELOADS.keys()):
        mend = "stop the office and start it again when it has no call"
        raise DevstackError(
            Problem("etc/" + name, 0, 0, "Asterisk reads this file at its start only", mend) for name in stuck
        )
    order = ("voicemail.conf", "pjsip.conf", "iax.conf", "extensions.conf")
    return tuple(RELOADS[name] for name in order if name in changed)


def write_box_folder(folder: Path, files: Mapping[str, str], old: Mapping[str, str], owner: int) -> None:
    """Make the folder (0700) hold exactly files (0600), all of owner's; what is as in old is not written."""
    _make_folder(folder, owner)
    for name, text in files.items():
        if old.get(name) != text:
            _write_file(folder / name, text, owner)
    for name in old.keys() - files.keys():
        (folder / name).unlink(missing_ok=True)


def write_overlay_folder(folder: Path, identity: OverlayIdentity, overlay: str) -> None:
    """Nebula's folder: its configuration overlay.yml, ca.crt, host.crt and host.key, root's alone."""
    _make_folder(folder, 0)
    texts = {
        "overlay.yml": overlay,
        "ca.crt": identity.ca,
        "host.crt": identity.crt,
        "host.key": identity.key,
    }
    for name, text in texts.items():
        _write_file(folder / name, text, 0)


def _make_folder(folder: Path, owner: int) -> None:
    for parent in (folder.parent.parent, folder.parent, folder):
        parent.mkdir(mode=0o700, exist_ok=True)
        if parent.is_symlink() or parent.stat().st_uid not in (os.geteuid(), owner):
            raise DevstackError.because(f"{parent} is somebody else's", "remove it")
    os.chown(folder, owner, owner)


def _write_file(path: Path, text: str, owner: int) -> None:
    beside = path.with_name(path.name + ".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchown(file.fileno(), owner, owner)
        file.write(text)
    beside.rename(path)
