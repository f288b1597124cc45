"""One unit as Git wishes it and as it is found, and what is planned for it where not all may be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ritilib.errors import Problem
from ritilib.reconcile.pauses import describe_paused, hold_paused
from ritilib.reconcile.plan import Plan, make_plan
from ritilib.reconcile.state import FleetRecord, LiveJob, Observed, Record, Wish, hash_text
from ritilib.reconcile.suspensions import Suspension
from ritilib.render.names import UnitNames
from ritilib.render.rules import SyncRules, Windows

FLEET_ID = "6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday
ANA = {"why": "it rains in", "who": "ana@desk", "since": "2026-11-25T11:00:00+00:00"}
# Abidjan has the same time as UTC, all the year
SUNDAYS = Windows.model_validate(
    {"timezone": "Africa/Abidjan", "stretches": [{"days": "sun", "from": "02:00", "to": "04:00"}]}
)
PLAIN = SyncRules()
WAYS = (SyncRules(suspended="it rains in"), SyncRules(windows=SUNDAYS), SyncRules(self_heal=False))
DUE = {"renew_at": (NOW - timedelta(hours=1)).isoformat()}


def make_wish(key: str = "acme/salto", sync: SyncRules = PLAIN, image: str = "one") -> Wish:
    files = {
        "pbx/job.nomad.hcl": f'job "x" {{}} # {image}',
        "pbx/live/extensions.conf": f"[from-box]\n; {key}\n",
        "pbx/secrets.json": "{}",
        "box/secrets.json": "{}",
        "pbx/consul-policy.hcl": "",
        "pbx/vault-policy.hcl": "",
    }
    return Wish(UnitNames("demo", *key.split("/")), files, sync=sync)


def record(wish: Wish, **changed: object) -> Record:
    """The inventory's entry of a unit that is as wished, or was until these fields."""
    made = Record(
        state="applied",
        commit="c1",
        job=hash_text(wish.job),
        live=hash_text(wish.live_value(0)),
        secrets=hash_text(wish.secrets),
        policies=hash_text(wish.policies),
        value=hash_text(wish.live_value(3)),
        secrets_version=3,
        job_modify_index=7,
        renew_at=(NOW + timedelta(days=5)).isoformat(),
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def plan(
    wish: Wish,
    entry: Record | None,
    suspensions: Sequence[Suspension] = (),
    rules: Mapping[str, SyncRules] | None = None,
    commit: str = "c2",
    change: str = "",
) -> Plan:
    """What is planned for one unit; change names what a hand did to it: "job", "stop", "purge", "value", "key"."""
    key = wish.names.key
    observed = observe_one(wish, entry, suspensions, change)
    held = {"": SyncRules(), key.split("/")[0]: SyncRules()} if rules is None else rules
    return hold_paused(make_plan([wish], FLEET_ID, observed), held, observed, commit)


def observe_one(
    wish: Wish, entry: Record | None, suspensions: Sequence[Suspension] = (), change: str = ""
) -> Observed:
    names = wish.names
    meta = {"riti.fleet": FLEET_ID, "riti.box": names.key}
    job = LiveJob(8 if change == "job" else 7, change == "stop", meta)
    return Observed(
        jobs={} if change == "purge" or entry is None else {names.job_id: job},
        records={names.key: entry} if entry else {},
        fleet=FleetRecord(FLEET_ID, "root", 40),
        live_index=40,
        live_keys=frozenset() if change == "key" or entry is None else frozenset({names.kv_key}),
        values={names.kv_key: "defaced"} if change == "value" else None,
        now=NOW,
        suspensions=tuple(suspensions),
    )


def write(made: Plan) -> str:
    """The parts that are written of the one unit."""
    if not made.changes:
        return ""
    (change,) = made.changes
    flags = {"secrets": change.secrets, "policies": change.policies, "live": change.live, "job": change.job}
    return " ".join(name for name, flag in flags.items() if flag)


def tell(made: Plan) -> list[Problem]:
    return describe_paused(made.paused)
