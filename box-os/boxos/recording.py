"""A box's life in QEMU with every write of its card noted: a first start, an installation, a try that is committed.

Each start has the card as it was before and a log (boxos/write_log.py) from which any moment of it can be made again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from boxos.by_hand import ask_for_rescue, open_network, restart, show_slots, start_rescue
from boxos.emulate import Machine
from boxos.lab import make_card
from boxos.layout import BOOT_A, BOOT_B
from boxos.programs import run
from boxos.serve import GUEST, serve
from boxos.trial import ANSWERS, STARTED, UP, Report, find_log
from boxos.update import Built, offer_good
from ritilib.errors import RitiError

_INSTALL_S = 420.0
_COMMITTED = {"committed": "is committed"}
INDEX = "recording.json"


@dataclass(frozen=True)
class Word:
    """What the box had said, or a person seen, when its card's log had so many bytes: it must hold ever after.

    kind: "identity", the machine's number and key were shown; "installed", RAUC said that it is done; "committed".
    """

    kind: str
    log_bytes: int


@dataclass(frozen=True)
class Episode:
    """One start: name.img is the card before it, name.log what was written then. words: what was said meanwhile; known:
    what had been said before it."""

    name: str
    words: tuple[Word, ...]
    known: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recording:
    """boot and root: the image's own, by which a slot is known to be whole."""

    folder: Path
    boot: Path
    root: Path
    episodes: tuple[Episode, ...]

    def find_card(self, episode: str) -> Path:
        return self.folder / f"{episode}.img"

    def find_log(self, episode: str) -> Path:
        return self.folder / f"{episode}.log"


def read_recording(folder: Path) -> Recording:
    """What record() left there; RitiError where it left nothing."""
    try:
        said = json.loads((folder / INDEX).read_text())
    except FileNotFoundError:
        raise RitiError.because(f"{folder} has no recording", "make one: make image-crashes") from None
    episodes = tuple(
        Episode(one["name"], tuple(Word(**word) for word in one["words"]), tuple(one["known"]))
        for one in said["episodes"]
    )
    return Recording(folder, folder / "boot.img", folder / "root.img", episodes)


def record(built: Built, work: Path, folder: Path, timeout_s: float, report: Report) -> Recording:
    """The three starts, into folder; what an earlier go left there is written over.

    RitiError where the box does not come so far: then it is no recording yet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).unlink(missing_ok=True)
    for name, source in (("boot.img", built.boot), ("root.img", built.root)):
        run(["cp", "--sparse=always", source, folder / name])
    card = make_card(built.image, work, None)
    with (
        serve({"good": offer_good(built, work)}) as cables,
        Machine(card, work, cables, find_log(work)) as box,
    ):
        reel = _Reel(box, folder, report)
        reel.begin("first")
        _expect(box.start(), BOOT_A)
        box.follow({**UP, **STARTED, **ANSWERS}, timeout_s, report)
        reel.note("identity")
        # what is behind the first minutes: what nobody synced comes to the card by itself
        box.wait(15)
        reel.end()
        ask_for_rescue(card)
        reel.begin("install")
        start_rescue(box, timeout_s)
        open_network(box)
        code, said = box.run(f"rauc install http://{GUEST}/good 2>&1", _INSTALL_S)
        if code:
            raise RitiError.because(f"it was not installed: {said}", "look at RAUC's words")
        reel.note("installed")
        if show_slots(box) != ("A", "B"):
            raise RitiError.because("what was installed is not to be tried", "look at onbox/slot.py")
        restart(box, timeout_s)
        reel.end()
        reel.begin("try")
        _expect(box.start(), BOOT_B)
        box.follow({**STARTED, **_COMMITTED}, timeout_s, report)
        reel.note("committed")
        box.wait(15)
        reel.end()
    episodes: Sequence[Episode] = reel.episodes
    # last: without it the folder is no recording
    beside = folder / (INDEX + ".new")
    beside.write_text(json.dumps({"episodes": [asdict(one) for one in episodes]}))
    beside.replace(folder / INDEX)
    return read_recording(folder)


class _Reel:
    """The recording as it grows."""

    def __init__(self, box: Machine, folder: Path, report: Report) -> None:
        self.episodes: list[Episode] = []
        self._box, self._folder, self._report = box, folder, report
        self._name, self._words = "", list[Word]()

    def begin(self, name: str) -> None:
        self._report(f"{name}:")
        self._name, self._words = name, []
        run(["cp", "--sparse=always", self._box.card, self._folder / f"{name}.img"])
        self._box.write_log = self._folder / f"{name}.log"
        self._box.write_log.write_bytes(b"")

    def note(self, kind: str) -> None:
        self._words.append(Word(kind, (self._folder / f"{self._name}.log").stat().st_size))
        self._report(f"  {kind}, after {self._words[-1].log_bytes:,} bytes of writes")

    def end(self) -> None:
        self._box.cut()
        known = tuple(word.kind for one in self.episodes for word in one.words)
        self.episodes.append(Episode(self._name, tuple(self._words), known))


def _expect(taken: int, expected: int) -> None:
    if taken != expected:
        raise RitiError.because(
            f"the firmware took partition {taken}, not {expected}", "look at autoboot.txt"
        )
