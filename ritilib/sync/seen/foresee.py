"""What a sync would do to each PBX that runs: nothing, a reload, a restart; and what that would wait for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ritilib.clients.nomad_diff import diff_texts, hide_foreign, write_diff
from ritilib.clients.nomad_values import JobPlan
from ritilib.clients.protocols import ConsulClient, NomadClient
from ritilib.errors import Denied, Problem
from ritilib.gitops.desired import Desired
from ritilib.reconcile.plan import Change, Plan
from ritilib.reconcile.rollout import Turn
from ritilib.reconcile.state import Observed, Wish, hash_text, read_live_files
from ritilib.reconcile.windows import is_inside
from ritilib.reconcile.wording import count
from ritilib.sync.lead.bootstrap import judge_retries
from ritilib.sync.turn import choose_turn, number_waves
from ritilib.sync.unit.door import judge_calls
from ritilib.sync.unit.word import read_word

# nothing: what runs notices nothing; reload: the dial plan, peers or secrets are read anew, and no call is cut;
# in-place: Nomad changes the job and no task; restart: the task is replaced; start: none runs now; unknown: the token
# may not ask
Effect = Literal["nothing", "reload", "in-place", "restart", "start", "unknown"]


@dataclass(frozen=True)
class Foreseen:
    """One unit that a sync would change.

    meets: what a restart waits for ("" where nothing does), wave: of waves, its place in the rollout (0: in none).
    calls: channels on its PBX now, where it would be replaced and says so. value_diff: file of the live value → lines
    of a unified diff; job_diff: Nomad's own, as lines; both empty where no diff was asked for.
    """

    unit: str
    reasons: tuple[str, ...]
    effect: Effect
    meets: str = ""
    wave: int = 0
    waves: int = 0
    calls: int | None = None
    value_diff: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    job_diff: tuple[str, ...] = ()
    warnings: str = ""


class Foresight:
    """Foresees the changes of one plan; problems, as warnings, are what the token may not ask."""

    def __init__(
        self, desired: Desired, plan: Plan, observed: Observed, nomad: NomadClient, consul: ConsulClient
    ) -> None:
        self._desired, self._plan, self._observed = desired, plan, observed
        self._nomad, self._consul = nomad, consul
        self._busy: set[str] = set()  # units that a sync would find with calls
        self._denied: set[str] = set()
        self.problems: list[Problem] = []

    def foresee(self, with_diff: bool) -> Iterator[Foreseen]:
        """Each change, in the plan's order, without what a restart meets: two requests where the job changes, two more
        where it is to be restarted, one where its value in Consul changes. Raises as the clients do, but for what the
        token may not."""
        for change in self._plan.changes:
            yield self._look_at(change, with_diff)

    def place(self, found: Iterable[Foreseen]) -> list[Foreseen]:
        """All that `foresee` gave, with what each restart meets: its wave hangs on which of the others have calls."""
        found, observed = list(found), self._observed  # whole first: then it is known who has calls
        asked = (self._desired, self._plan, observed.records, observed.jobs, self._busy)
        turn, waves = choose_turn(*asked, observed.now), number_waves(*asked)
        changes = {change.key: change for change in self._plan.changes}
        return [
            self._place(changes[one.unit], one, turn, waves) if one.effect == "restart" else one
            for one in found
        ]

    def _look_at(self, change: Change, with_diff: bool) -> Foreseen:
        names, observed = change.wish.names, self._observed
        record, job = observed.records.get(names.key), observed.jobs.get(names.job_id)
        found = Foreseen(change.key, change.reasons, "reload" if change.rotates else "nothing")
        is_running = job is not None and not job.stopped
        if change.live:
            entry = self._consul.read(names.kv_key)
            value = entry.value if entry else b""
            is_own = record is not None and hash_text(value) == record.value
            version = record.secrets_version if record else 0
            if change.secrets or value != change.wish.live_value(version):
                found = replace(found, effect="reload")
            if with_diff:
                found = replace(found, value_diff=diff_value(value, change.wish, is_own))
        planned = self._plan_job(change) if change.job else None
        if not is_running:
            found = replace(found, effect="start")
        elif change.job and planned is None:
            found = replace(found, effect="unknown")
        elif planned and planned.changes != "none":
            effects: dict[str, Effect] = {"destructive": "restart", "create": "start", "in-place": "in-place"}
            found = replace(found, effect=effects[planned.changes])
        if planned:
            index = record.job_modify_index if record else 0
            lines = write_diff(planned.diff, planned.modify_index != index) if with_diff else ()
            found = replace(found, job_diff=lines, warnings=planned.warnings)
        return replace(found, calls=self._count_calls(change)) if found.effect == "restart" else found

    def _plan_job(self, change: Change) -> JobPlan | None:
        """None where the token may not."""
        if "plan" in self._denied:
            return None
        try:
            return self._nomad.plan(self._nomad.parse(change.wish.job))
        except Denied as error:
            self._note_denied("plan", error, "parse-job and submit-job: which PBX is restarted is not known")
            return None

    def _place(self, change: Change, found: Foreseen, turn: Turn, waves: Mapping[str, int]) -> Foreseen:
        if not change.is_drift:
            found = replace(found, wave=waves.get(change.key, 0), waves=turn.waves)
        return replace(found, meets=describe_wait(change, turn, found, self._observed))

    def _count_calls(self, change: Change) -> int | None:
        windows = change.wish.windows
        if change.wish.names.is_lighthouse or "word" in self._denied:
            return None
        try:
            word = read_word(self._nomad, change.wish.names.job_id)
        except Denied as error:
            self._note_denied("word", error, "read-job and read-fs: whether a PBX has calls is not known")
            return None
        if judge_calls(word) and not (windows and is_inside(windows, self._observed.now)):
            self._busy.add(change.key)
        return word.channels if word else None

    def _note_denied(self, what: str, error: Denied, lacks: str) -> None:
        self._denied.add(what)
        mend = f"take a token in NOMAD_TOKEN with {lacks}"
        self.problems += [replace(one, mend=mend, severity="warning") for one in error.problems]


def describe_wait(change: Change, turn: Turn, found: Foreseen, observed: Observed) -> str:
    """What a restart waits for."""
    if not (change.is_drift or change.key in turn.may):
        if turn.stopped:
            return f"nothing is replaced: {turn.stopped}"
        until = f", which is not before {turn.until:%H:%M} UTC" if turn.until else ""
        return f"waits for wave {found.wave} of {found.waves}; now it is wave {turn.wave}{until}"
    if change.wish.names.is_lighthouse:
        return "at once: a lighthouse has no calls"
    windows = change.wish.windows
    if windows and is_inside(windows, observed.now):
        return "at once: its maintenance window is open"
    now = f": {count(found.calls, 'channel')} now" if found.calls else ""
    return f"waits until it has no call{now}"


def diff_value(value: bytes, wish: Wish, is_own: bool) -> dict[str, tuple[str, ...]]:
    """File → unified diff of what Consul holds and what is wished; equal files are left out.

    Values hold no secret: secrets are read from Vault, by the version that the value names. is_own: it is what was
    written; what another wrote in it is shown without what looks like a secret.
    """
    # somebody else's words have none
    files = {str(name): str(text) for name, text in (read_live_files(value) or {}).items()}
    diffs = {}
    for name in sorted(files.keys() | wish.live.keys()):
        before, after = files.get(name, ""), wish.live.get(name, "")
        if lines := diff_texts(before if is_own else hide_foreign("", before, after), after):
            diffs[name] = lines
    return diffs


def judge_cluster(nomad: NomadClient) -> list[Problem]:
    """A problem for each node whose templates would end their tasks in an outage (rule 10): nothing is to be deployed
    there. Where the token, or this machine, cannot ask a node's agent, a warning."""
    try:
        found = nomad.list_template_retries()
    except Denied as error:
        mend = "whether tasks outlive an outage is not known: take a token in NOMAD_TOKEN with node:read and agent:read"
        return [replace(one, mend=mend, severity="warning") for one in error.problems]
    problems = []
    for node in found:
        is_known = None not in (node.consul, node.vault, node.nomad)
        problems += [one if is_known else replace(one, severity="warning") for one in judge_retries([node])]
    return problems
