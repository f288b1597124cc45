"""What became of a replaced unit: Nomad's deployment and the PBX's own word, nothing of its link (DESIGN, rule 13)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ritilib.clients.protocols import ConsulClient, NomadClient
from ritilib.reconcile.rollout import Stage
from ritilib.reconcile.state import Record, Wish, hash_text
from ritilib.sync.unit.door import open_door
from ritilib.sync.unit.word import Speaker

# Nomad gives up an allocation that is not healthy after 5 min, and one that finds no host never (jobs/pbx).
LONGEST = timedelta(minutes=6)
LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Verdict:
    """stage: "watched" where it is too early to say; why: what is wrong, "" for good; value and value_index: as in
    Record, where it has its door open."""

    stage: Stage
    why: str = ""
    value: str = ""
    value_index: int = 0


def judge_unit(
    wish: Wish, record: Record, nomad: NomadClient, consul: ConsulClient, now: datetime, within_s: float
) -> Verdict:
    """Wait, at the most within_s, until it is known whether what was registered for the unit is healthy.

    Its door is opened as soon as its new task is up. An office that is offline makes no PBX bad: the link is not asked
    for. Raises Conflict, Unreachable, Denied or ServerError.
    """
    end = time.monotonic() + within_s
    deployment = nomad.wait_deployed(wish.names.job_id, record.job_modify_index, within_s)
    if deployment.status == "failed":
        return Verdict("bad", deployment.description)
    why = deployment.description
    value, index = b"", 0
    if deployment.status == "successful":
        if wish.names.is_lighthouse:
            return Verdict("good")
        value, index = open_door(
            wish.names, wish.live_value(record.secrets_version), record.value_index, consul
        )
    speaker = Speaker(nomad, wish.names.job_id)
    while value:
        word = speaker.read()
        if word and not word.problems and word.has_in_force(wish.live_plans):
            return Verdict("good", value=hash_text(value), value_index=index)
        why = "; ".join(word.problems) if word and word.problems else "it does not acknowledge its dial plan"
        if time.monotonic() >= end:
            break
        time.sleep(LOOK_EVERY_S)
    if record.replaced_at and now - datetime.fromisoformat(record.replaced_at) > LONGEST:
        begin = _find_begin(wish, record, nomad)
        if begin and now - begin > LONGEST:
            return Verdict("bad", why)
        why = why if begin else "Nomad starts it when the one before has ended, which is with its last call"
    return Verdict("watched", why, hash_text(value) if value else "", index)


def _find_begin(wish: Wish, record: Record, nomad: NomadClient) -> datetime | None:
    """Since when Nomad could have started the new instance: it waits until the one before has ended, with its last call
    where `--replace` did not wait for that. None: it has not."""
    found = nomad.list_allocations(wish.names.job_id)
    if any((one.client_status, one.desired_status) == ("running", "stop") for one in found):
        return None
    ended_s = [one.changed_at_s for one in found if one.client_status == "complete"]
    ended = [datetime.fromtimestamp(at_s, UTC) for at_s in ended_s]
    return max([datetime.fromisoformat(record.replaced_at), *ended])
