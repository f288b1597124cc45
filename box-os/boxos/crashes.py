"""Crash states of a recorded box: each is brought about on a copy of its card, and checked without starting it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from boxos.boot_text import ARGUMENTS_FILE
from boxos.crash_check import BRICK, DATA_LOST, IDENTITY, SLOT, Expected, Eye, Wrong, find_wrongs
from boxos.crash_data import IDENTITY as IDENTITY_FILES
from boxos.crash_data import read_data
from boxos.crash_states import State, Story, draw_states, keep_all
from boxos.crashed_card import CrashedCard
from boxos.fat import read_fat
from boxos.firmware import find_spans
from boxos.layout import BOOT_A, BOOT_B, DATA, ROOT_A, ROOT_B
from boxos.programs import run
from boxos.recording import Episode, Recording
from boxos.trial import Report
from boxos.verity import BLOCK, Verity, read_verity
from boxos.write_log import read_log
from onbox.selection import name_slot
from ritilib.errors import RitiError

_TOLD = 10
_EACH = 100


def try_crashes(
    recording: Recording, work: Path, count: int, seed: int, report: Report, only: int | None = None
) -> dict[str, Any]:
    """Check so many states, or that of number `only`; figures. RitiError with those that are wrong, by their number and
    the seed that leads there again."""
    stories = {one.name: _read_story(recording, one) for one in recording.episodes}
    expected = Expected(_read_identity(recording, work), _verify_root(recording, work).root_hash)
    # a state's number does not depend on how many are drawn
    states = draw_states(list(stories.values()), max(count, (only or 0) + 1), seed)
    drawn = [state for state in states if only in (None, state.number)]
    wrongs: list[tuple[State, Wrong]] = []
    slots: Counter[str] = Counter()
    for episode in recording.episodes:
        mine = sorted(
            (one for one in drawn if one.episode == episode.name), key=lambda one: (one.flushed, one.number)
        )
        report(f"{episode.name}: {len(mine)} states")
        for state, chosen, found in _check(recording, episode, stories[episode.name], mine, work, expected):
            slots[name_slot(chosen) if chosen else "none"] += 1
            wrongs += [(state, wrong) for wrong in found]
            if slots.total() % _EACH == 0:
                report(f"  {slots.total()} of {len(drawn)}, {len(wrongs)} wrong")
    if wrongs:
        raise tell(wrongs, seed)
    return {
        "states": len(drawn),
        "seed": seed,
        "regions": dict(Counter(f"{state.episode}/{state.region}" for state in drawn)),
        "slots": dict(slots),
        **dict.fromkeys((BRICK, SLOT, IDENTITY, DATA_LOST), 0),
    }


def tell(wrongs: Sequence[tuple[State, Wrong]], seed: int) -> RitiError:
    """The first of what is wrong, with the words that bring its state about again."""
    told = [
        f"state {state.number} ({state.episode}, {state.region}, flushed {state.flushed}, cut {state.cut}): "
        f"{wrong.kind}: {wrong.text}"
        for state, wrong in wrongs[:_TOLD]
    ]
    counted = Counter(wrong.kind for _, wrong in wrongs)
    told.append(", ".join(f"{count} {kind}" for kind, count in sorted(counted.items())))
    return RitiError.because("; ".join(told), f"one of them again: --seed {seed} --only NUMBER")


def _check(
    recording: Recording, episode: Episode, story: Story, states: list[State], work: Path, expected: Expected
) -> Iterable[tuple[State, int, list[Wrong]]]:
    card = work / "crashed.img"
    run(["cp", "--sparse=always", recording.find_card(episode.name), card])
    images = {
        BOOT_A: recording.boot,
        BOOT_B: recording.boot,
        ROOT_A: recording.root,
        ROOT_B: recording.root,
    }
    with CrashedCard(card, recording.find_log(episode.name), story, images) as crashed:
        eye = Eye(crashed, story, work)
        for flushed, group in groupby(states, key=lambda one: one.flushed):
            crashed.go_on(flushed)
            before = eye.see(())
            whole = keep_all(story, flushed, story.find_next_flush(flushed))
            with crashed.hold(whole):
                after = eye.see(whole)
            for state in group:
                said = {
                    word.kind for word in episode.words if story.has_reached(state.cut, word.log_bytes)
                } | set(episode.known)
                with crashed.hold(state.pieces):
                    seen = eye.see(state.pieces)
                yield state, seen.chosen, find_wrongs(seen, before, after, said, expected)


def _read_story(recording: Recording, episode: Episode) -> Story:
    card = recording.find_card(episode.name)
    entries, _ = read_log(recording.find_log(episode.name))
    return Story(episode.name, entries, find_spans(run(["sfdisk", "--dump", card])), card.stat().st_size)


def _read_identity(recording: Recording, work: Path) -> dict[str, bytes]:
    """Who the box is, by the card of the last start; RitiError where it had not shown itself before that."""
    card = recording.find_card(recording.episodes[-1].name)
    files, wrongs = read_data(card, find_spans(run(["sfdisk", "--dump", card]))[DATA], work)
    identity = {name: files[name] for name in IDENTITY_FILES if name in files}
    if wrongs or not {"machine-id", "riti/identity.key"} <= identity.keys():
        raise RitiError.because(
            f"the recorded box has no number and key: {'; '.join(wrongs)}", "make another recording"
        )
    return identity


def _verify_root(recording: Recording, work: Path) -> Verity:
    """The root that the slots are compared with is whole by its own hash tree; RitiError where it is not."""
    text = read_fat(recording.boot, ARGUMENTS_FILE, work / ARGUMENTS_FILE).read_text()
    verity = read_verity(text)
    root = recording.root
    offset = verity.data_blocks * BLOCK
    run(["veritysetup", "verify", root, root, verity.root_hash, f"--hash-offset={offset}"])
    return verity
