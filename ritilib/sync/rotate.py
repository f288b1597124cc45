"""Which secrets the links of units are given in this cycle: a company's new ones step by step, never cutting a link."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ritilib.clients.protocols import ConsulClient, NomadClient
from ritilib.reconcile.plan import Change
from ritilib.reconcile.rotation import End, Generations, decide_steps, settle
from ritilib.reconcile.state import LiveJob, Record, Wish
from ritilib.sync.observe import Places
from ritilib.sync.unit.word import Word, read_word, understand_word


@dataclass(frozen=True)
class Rotation:
    """changes are what is left to do of those asked, with the steps that they take now.

    given: unit → what its links hold from now on, where that is not what they held. waits: unit → why it goes no step
    further; what else is wished of it is done.
    """

    changes: tuple[Change, ...]
    given: Mapping[str, Generations] = field(default_factory=dict)
    waits: Mapping[str, str] = field(default_factory=dict)


def choose_generations(
    changes: Sequence[Change],
    wishes: Iterable[Wish],
    seen: Mapping[str, LiveJob],
    records: Mapping[str, Record],
    nomad: NomadClient,
    consul: ConsulClient,
) -> Rotation:
    """Decide for every company that rotates among changes; wishes are all units that are compared, seen the
    jobs that Nomad lists.

    PBXes and boxes are asked what they have acknowledged only where a company rotates. Raises Unreachable, Denied or
    ServerError: what is not known lets nobody go on.
    """
    asked = {change.key for change in changes}
    rotating = {change.wish.names.company for change in changes if _takes_part(change, records)}
    if not rotating:
        return Rotation(tuple(changes))
    given: dict[str, Generations] = {}
    waits: dict[str, str] = {}
    for company in sorted(rotating):
        units = [wish for wish in wishes if wish.names.company == company]
        ends = _list_ends(units, seen, records, nomad, consul)
        wished = units[0].digests.generation
        steps, why = decide_steps(ends, wished)
        given |= steps
        for end in ends:
            if end.key not in steps and end.held and end.held != settle(wished):
                waits[end.key] = why
            elif end.key in steps and steps[end.key] != settle(wished):
                waits[end.key] = "it acknowledges this step first"
    left = []
    for change in changes:
        if change.rotates and change.key in given:
            change = replace(change, secrets=True, live=True)
        if change.secrets or change.policies or change.live or change.job:
            left.append(change)
    return Rotation(tuple(left), given, {key: why for key, why in waits.items() if key in asked})


def _takes_part(change: Change, records: Mapping[str, Record]) -> bool:
    """Also what is new: it must understand those of its company that are there."""
    is_new = (
        change.key not in records or not records[change.key].secrets or bool(records[change.key].stopped_at)
    )
    return change.rotates or (is_new and not change.wish.names.is_lighthouse)


def _list_ends(
    units: Sequence[Wish],
    seen: Mapping[str, LiveJob],
    records: Mapping[str, Record],
    nomad: NomadClient,
    consul: ConsulClient,
) -> list[End]:
    ends = [_look_at_record(wish, records.get(wish.names.key), wish.names.job_id in seen) for wish in units]
    if any(end.lag for end in ends) or all(
        end.held in (None, settle(units[0].digests.generation)) for end in ends
    ):
        return ends
    names = units[0].names
    said = {
        entry.key: understand_word(entry.value, entry.key)
        for entry in consul.read_tree(f"{Places(names.fleet).boxes}{names.company}/").entries
    }
    for place, (wish, end) in enumerate(zip(units, ends, strict=True)):
        if end.held:
            record, box = records[end.key], said.get(wish.names.box_word)
            lag = _judge_box(record, box) or _judge_pbx(record, box, read_word(nomad, wish.names.job_id))
            ends[place] = replace(end, lag=lag)
            if lag:
                break  # the others need not be asked: nobody goes on
    return ends


def _look_at_record(wish: Wish, record: Record | None, has_job: bool) -> End:
    key = wish.names.key
    if record is None and has_job:
        return End(key, None, "the inventory knows nothing of it")
    if record is None or record.stopped_at:
        return End(key, None)
    if record.state == "applying":
        return End(key, record.holds if record.secrets else None, "it is not written whole yet")
    if record.replaced_at and not record.judged:
        return End(key, record.holds, "its PBX was replaced, and is not known to be well yet")
    return End(key, record.holds)


def _judge_box(record: Record, box: Word | None) -> str:
    """A box that has never said anything is none yet, see _judge_pbx: it begins with what Vault holds then."""
    if box and box.secrets_version < record.box_version:
        return "its box does not acknowledge them"
    return ""


def _judge_pbx(record: Record, box: Word | None, word: Word | None) -> str:
    if word is None or word.secrets_version < record.secrets_version:
        return "its PBX does not acknowledge them"
    return "its box is there, and does not say what it holds" if box is None and word.is_linked else ""
