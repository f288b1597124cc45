"""New secrets for a company's links, step by step, so that no step cuts a link. Pure functions of values.

An end accepts one generation, then the next one too, then calls by that, then accepts the old one no longer. Two ends
understand each other where each accepts what the other calls by, which holds for neighbouring steps alone: so nobody
goes on before all have acknowledged what they were given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Generations:
    """What one end of a link holds: accept are the generations that let a call in, use is the one that it calls by."""

    accept: tuple[int, ...]
    use: int

    @property
    def in_order(self) -> tuple[int, ...]:
        """All of them, the one to call by last."""
        return (*(one for one in self.accept if one != self.use), self.use)

    def fits(self, other: Generations) -> bool:
        """Whether calls get through both ways."""
        return self.use in other.accept and other.use in self.accept


@dataclass(frozen=True)
class End:
    """One unit of a company: its PBX and its box, which are given the same.

    held: what they were given last (None: nothing yet). lag: why that may not be in force with both, "" where it is.
    """

    key: str
    held: Generations | None
    lag: str = ""


def settle(generation: int) -> Generations:
    """What an end holds while nothing is rotated."""
    return Generations((generation,), generation)


FIRST = settle(1)  # where nobody ever said another


def take_step(held: Generations, aim: int) -> Generations:
    """The next step towards an end that holds aim alone; held itself where it does."""
    if aim not in held.accept:
        return Generations(tuple(sorted((held.use, aim))), held.use)
    return Generations(held.accept, aim) if held.use != aim else settle(aim)


def decide_steps(ends: Collection[End], wished: int) -> tuple[dict[str, Generations], str]:
    """(key → what it is given, why nobody goes a step further or "").

    ends are all units of one company. Nobody is given what would cut a link that is whole; while an end lags, only new
    units are given anything. One rotation is ended before another begins: what is under way is aimed at first.
    """
    known = [end for end in ends if end.held]
    aim = _find_aim((end.held for end in known if end.held), wished)
    given = {
        end.key: _choose_first([one.held for one in known if one.held], aim) for end in ends if not end.held
    }
    if lags := sorted(f"{end.key}: {end.lag}" for end in ends if end.lag):
        more = f", and {len(lags) - 1} more" if len(lags) > 1 else ""
        return given, f"not all of its company hold what they were given ({lags[0]}{more})"
    stuck = ""
    for end in known:
        assert end.held
        step = take_step(end.held, aim)
        if step == end.held:
            continue
        others = [one for one in known if one is not end and one.held]
        cut = [one.key for one in others if one.held and end.held.fits(one.held) and not step.fits(one.held)]
        if cut:
            stuck = f"{sorted(cut)[0]} would no longer be reached"
        else:
            given[end.key] = step
    return given, "" if given else stuck


def _find_aim(held: Iterable[Generations], wished: int) -> int:
    under_way = {one for each in held for one in each.accept}
    return wished if len(under_way) < 2 or wished in under_way else max(under_way)


def _choose_first(others: list[Generations], aim: int) -> Generations:
    """What a new unit is given: it understands all that are there, and goes on with them from there."""
    accept = sorted({one for each in others for one in each.accept})
    if not accept:
        return settle(aim)
    common = [one for one in accept if all(one in each.accept for each in others)] or accept
    return Generations(tuple(accept), aim if aim in common else common[0])
