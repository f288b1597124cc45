"""Waves: in which order the PBXes of a change are replaced. A pure function of values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence, Set

from ritilib.fleet.fleet_file import Rollout


def make_waves(
    boxes: Iterable[str],
    canaries: Set[str],
    rollout: Rollout,
    change: str,
    begun: Sequence[str] = (),
    busy: Set[str] = frozenset(),
) -> tuple[tuple[str, ...], ...]:
    """The boxes ("acme/salto") of each wave: canaries, a share of the others, the rest (DESIGN, rule 9).

    canaries are the boxes whose files say so: all of those in boxes are first, and others while these are fewer than
    the rollout wants. Who else is early follows from the hash of box and change (the commit that is rolled out): the
    same for the same change whoever asks, and other companies at the next. The share is rounded up; a wave without
    boxes is left out; each is sorted.

    begun are those that the change has already replaced, in the order in which they were: they keep their places. busy
    ones (with a call) give theirs to others, or one open line would hold up a wave of one for hours; but for canaries
    by their files, which somebody wants to be first.
    """
    rank = {box: place for place, box in enumerate(begun)}
    order = sorted(
        set(boxes),
        key=lambda box: (
            box not in canaries,
            rank.get(box, len(rank)),
            box in busy,
            _shuffle(box, change),
        ),
    )
    first = max(rollout.canaries, sum(box in canaries for box in order))
    # whole numbers: a rounded fraction could make a wave one box longer than the share
    second = first + -(-max(len(order) - first, 0) * rollout.share_percent // 100)
    waves = (order[:first], order[first:second], order[second:])
    return tuple(tuple(sorted(wave)) for wave in waves if wave)


def _shuffle(box: str, change: str) -> bytes:
    return hashlib.sha256(f"{change} {box}".encode()).digest()
