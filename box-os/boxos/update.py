"""An update in QEMU as a box gets it: what must be refused, a version that cannot start, one that works."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from boxos.adaptive import compare
from boxos.bundle import Signed, make_keys, make_payload, sign
from boxos.by_hand import open_network, open_rescue, restart, show_slots, took, try_slot
from boxos.changed import Slot, change_agent
from boxos.emulate import Machine
from boxos.firmware import choose, find_spans
from boxos.lab import make_card
from boxos.layout import BOOT_A, BOOT_B, ROOT_B
from boxos.manifest import name_day, write_manifest
from boxos.programs import run
from boxos.recipe import Recipe
from boxos.serve import GUEST, Sent, Served, serve
from boxos.trial import STARTED, find_log, find_wrongs, read_said
from boxos.verity import BLOCK
from ritilib.errors import RitiError

Report = Callable[[str], None]
_INSTALL_S = 420.0
_MEGABYTE = 1_000_000
WIRE_MB = 10.0  # what an update may send in which one package is another
# what RAUC says, whose words differ from version to version, has one of these
REFUSALS: Mapping[str, tuple[str, ...]] = {
    "tampered-manifest": ("signature",),
    "wrong-key": ("signature", "certificate"),
    "wrong-board": ("compatible",),
    "older": ("version",),
    "tampered-content": ("failed", "error"),
}


@dataclass(frozen=True)
class Versions:
    """Of the image that runs: one that is newer, one that is older."""

    newer: str
    older: str


@dataclass(frozen=True)
class Built:
    """What a build left: the image, its boot partition and root, and what they were made by."""

    image: Path
    boot: Path
    root: Path
    recipe: Recipe
    keys: Path
    seed: str
    epoch: int


def name_versions(version: str) -> Versions:
    """1.2.3 → 1.2.4 and 0.0.1: less than any image's."""
    major, minor, patch = version.split("-")[0].split("+")[0].split("~")[0].split(".")
    return Versions(f"{major}.{minor}.{int(patch) + 1}", "0.0.1")


def offer(recipe: Recipe, signed: Signed, keys: Path, work: Path, made: str) -> dict[str, Served]:
    """Name → what is served under it: one good bundle of what signed holds, and each that must be refused."""
    versions = name_versions(recipe.version)
    others = work / "other-keys"
    make_keys(others)
    newer = replace(recipe, version=versions.newer)
    board = replace(recipe.board, compatible="riti-box-another")
    good = _serve(signed, newer, keys, work, made)
    length = signed.file.stat().st_size
    # a byte of the manifest's version, which lies within the signature
    at = good.tail.index(f"version={versions.newer}".encode()) + len("version=")
    tampered = bytearray(good.tail)
    tampered[at] ^= 1
    return {
        "good": good,
        "tampered-manifest": replace(good, tail=bytes(tampered)),
        "tampered-content": replace(good, changed=spoil(signed.file, length)),
        "wrong-key": _serve(signed, newer, others, work, made),
        "wrong-board": _serve(signed, replace(newer, board=board), keys, work, made),
        "older": _serve(signed, replace(recipe, version=versions.older), keys, work, made),
    }


def spoil(payload: Path, length: int) -> dict[int, int]:
    """One byte of each block in the root's part of a payload, changed: one alone may lie in what no box fetches."""
    changed = {}
    with payload.open("rb") as stream:
        # boot comes first, the root's index and the tables last
        for offset in range(length * 3 // 10, length * 19 // 20, BLOCK):
            stream.seek(offset)
            changed[offset] = stream.read(1)[0] ^ 1
    return changed


def offer_good(built: Built, work: Path) -> Served:
    """A bundle of the image that runs, under the next version."""
    signed = make_payload(built.boot, built.root, work / "payload", built.seed, built.epoch)
    return _serve(signed, _name_newer(built.recipe), built.keys, work, name_day(built.epoch))


def offer_changed(built: Built, work: Path) -> Served:
    """A bundle of the next version, in which RITI's own package is another."""
    _, signed = _change(built, work)
    return _serve(signed, _name_newer(built.recipe), built.keys, work, name_day(built.epoch))


def _name_newer(recipe: Recipe) -> Recipe:
    return replace(recipe, version=name_versions(recipe.version).newer)


def _change(built: Built, work: Path) -> tuple[Slot, Signed]:
    """What an update to another agent writes, and its payload."""
    slot = change_agent(
        Slot(built.boot, built.root), _name_newer(built.recipe), work, built.seed, built.epoch
    )
    return slot, make_payload(slot.boot, slot.root, work / "payload", built.seed, built.epoch)


def _serve(signed: Signed, recipe: Recipe, keys: Path, work: Path, made: str) -> Served:
    empty = work / "empty"
    empty.write_bytes(b"")
    tail = work / "tail"
    sign(Signed(empty, signed.payload), write_manifest(recipe, made, signed.payload), keys, tail)
    return Served(signed.file, signed.file.stat().st_size, tail.read_bytes())


def find_refusal(name: str, code: int, said: str) -> str:
    """What is wrong with how RAUC took a bundle that must be refused; "" where it refused it for the right reason."""
    if code == 0:
        return f"{name}: it was installed"
    words = REFUSALS[name]
    return (
        "" if any(word in said.lower() for word in words) else f"{name}: refused for another reason: {said}"
    )


def try_update(built: Built, work: Path, timeout_s: float, report: Report) -> dict[str, Any]:
    """The whole way; RitiError with what went otherwise than it must."""
    card = make_card(built.image, work, None)
    slot, signed = _change(built, work)
    offered = offer(built.recipe, signed, built.keys, work, name_day(built.epoch))
    blocks = compare(built.root, slot.root)
    wrongs: list[str] = []
    found: dict[str, Any] = {"bundle_mb": round(offered["good"].length / _MEGABYTE, 2)}
    found["root_blocks_mb"] = round(blocks.fetched_bytes / _MEGABYTE, 2)
    sent: dict[str, Sent] = {}
    with serve(offered, sent) as network, Machine(card, work, network, find_log(work)) as box:
        open_rescue(box, timeout_s)
        open_network(box)
        for name in REFUSALS:
            code, said = box.run(f"rauc install http://{GUEST}/{name} 2>&1", _INSTALL_S)
            report(f"  {name}: {'refused' if code else 'INSTALLED'}")
            found[name] = said.strip().splitlines()[-1:] if code else "installed"
            wrongs += filter(None, [find_refusal(name, code, said)])
        wrongs += _expect(box, "A", "A", "after what was refused")
        began_s = time.monotonic()
        code, said = box.run(f"rauc install http://{GUEST}/good 2>&1", _INSTALL_S)
        found["install_s"] = round(time.monotonic() - began_s, 1)
        report(f"  good: {found['install_s']} s, {'installed' if code == 0 else said}")
        if code:
            raise RitiError.because(f"the good bundle was not installed: {said}", "look at RAUC's words")
        found |= {"wire_mb": round(sent["good"].bytes / _MEGABYTE, 2), "answers": sent["good"].answers}
        report(f"  {found['wire_mb']} MB of {found['bundle_mb']} in {found['answers']} answers")
        if found["wire_mb"] > WIRE_MB:
            wrongs.append(f"one package was changed, and {found['wire_mb']} MB were fetched, not {WIRE_MB}")
        wrongs += _expect(box, "A", "B", "after the installation")
        # as the card is now a cut would leave it: nothing has changed for the firmware
        wrongs += took(choose(card, work, is_try=False).partition, BOOT_A, "after a cut before the try")
        restart(box, timeout_s)
        with _Damaged(card, ROOT_B):
            wrongs += took(box.start(), BOOT_B, "at the try of a damaged root")
            began_s = time.monotonic()
            box.wait_end(timeout_s)
            found["back_s"] = round(time.monotonic() - began_s, 1)
        wrongs += took(box.start(), BOOT_A, "after the try of a damaged root")
        report(f"  damaged root: back after {found['back_s']} s")
        box.cut()
        try_slot(box, "B", timeout_s)
        wrongs += took(box.start(), BOOT_B, "at the try")
        seconds = box.follow({**STARTED, "committed": "RITI slot B is committed"}, timeout_s, report)
        said_line = read_said(box.console)
        wrongs += find_wrongs(said_line)
        found["committed_s"] = seconds["committed"]
        box.cut()
        wrongs += took(box.start(), BOOT_B, "after the commit and a cut")
        box.follow(STARTED, timeout_s, report)
        last = read_said(box.console)
        if last.slot != "B/B" or last.id != said_line.id:
            wrongs.append(f"after the commit: slot {last.slot}, machine {last.id} and {said_line.id} before")
    if wrongs:
        raise RitiError.because("; ".join(wrongs), "see box-os/README.md, Updates")
    return found


class _Damaged:
    """One byte of a partition is another within this."""

    def __init__(self, card: Path, number: int) -> None:
        self._card = card
        # within the first blocks of the root, which every start reads
        self._at = find_spans(run(["sfdisk", "--dump", card]))[number][0] + 40

    def __enter__(self) -> None:
        self._flip()

    def __exit__(self, *_: object) -> None:
        self._flip()

    def _flip(self) -> None:
        handle = os.open(self._card, os.O_RDWR)
        try:
            os.pwrite(handle, bytes([os.pread(handle, 1, self._at)[0] ^ 1]), self._at)
        finally:
            os.close(handle)


def _expect(box: Machine, current: str, primary: str, when: str) -> list[str]:
    found = show_slots(box)
    return [] if found == (current, primary) else [f"{when} the slots are {found}, not {(current, primary)}"]
