"""The plan: what a sync would write, for every way in which the world can differ from the wish."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ritilib.reconcile.plan import Plan, make_plan
from ritilib.reconcile.state import (
    FleetRecord,
    LiveJob,
    Observed,
    Record,
    Wish,
    hash_text,
    read_record,
)
from ritilib.render.names import UnitNames
from ritilib.sync.unit.settle import describe_refused

FLEET_ID = "6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
FILES = {
    "pbx/job.nomad.hcl": 'job "x" {}',
    "pbx/live/extensions.conf": "[from-box]\n",
    "pbx/live/iax.conf": "[box](box-secret)\n",
    "pbx/secrets.json": "{}",
    "box/secrets.json": "{}",
    "pbx/consul-policy.hcl": "",
    "pbx/vault-policy.hcl": "",
}
WISH = Wish(UnitNames("demo", "acme", "salto"), FILES)
META = {"riti.fleet": FLEET_ID, "riti.box": "acme/salto"}
VALUE = hash_text(WISH.live_value(3))
RECORD = Record(
    state="applied",
    commit="c1",
    job=hash_text(WISH.job),
    live=hash_text(WISH.live_value(0)),
    secrets=hash_text(WISH.secrets),
    policies=hash_text(WISH.policies),
    value=VALUE,
    secrets_version=3,
    job_modify_index=7,
    renew_at=(NOW + timedelta(days=5)).isoformat(),
)
SETTLED = Observed(
    jobs={WISH.names.job_id: LiveJob(7, False, META)},
    records={"acme/salto": RECORD},
    fleet=FleetRecord(FLEET_ID, "root", 40),
    live_index=40,
    live_keys=frozenset({WISH.names.kv_key}),
    values=None,
    now=NOW,
)


def plan(observed: Observed = SETTLED, wish: Wish = WISH) -> Plan:
    return make_plan([wish], FLEET_ID, observed)


def parts(made: Plan) -> str:
    (change,) = made.changes
    flags = {"secrets": change.secrets, "policies": change.policies, "live": change.live, "job": change.job}
    return " ".join(name for name, flag in flags.items() if flag)


def change_file(path: str) -> Wish:
    return Wish(WISH.names, FILES | {path: FILES[path] + "\n; changed"})


def test_what_is_as_wished_is_left_alone() -> None:
    made = plan()
    assert made.is_empty
    assert (made.unchanged, made.conflicts, made.live_index_moved) == (1, (), False)


def test_a_new_unit_needs_every_part() -> None:
    assert parts(plan(replace(SETTLED, jobs={}, records={}))) == "secrets policies live job"


def test_an_intent_without_end_is_done_again_from_the_start() -> None:
    observed = replace(SETTLED, records={"acme/salto": replace(RECORD, state="applying")})
    assert parts(plan(observed)) == "secrets policies live job"


def test_each_file_moves_only_its_part() -> None:
    assert parts(plan(wish=change_file("pbx/live/extensions.conf"))) == "live"
    assert parts(plan(wish=change_file("pbx/job.nomad.hcl"))) == "job"
    assert parts(plan(wish=change_file("pbx/consul-policy.hcl"))) == "policies"


def test_new_secrets_move_the_live_value_too_so_that_a_running_pbx_reads_them_at_once() -> None:
    assert parts(plan(wish=change_file("pbx/secrets.json"))) == "secrets live"
    assert parts(plan(wish=change_file("box/secrets.json"))) == "secrets live"


def test_a_certificate_is_renewed_when_it_is_due() -> None:
    made = plan(replace(SETTLED, now=NOW + timedelta(days=6)))
    assert made.changes[0].reasons == ("certificate is due",)


def test_drift_is_found_in_the_job() -> None:
    jobs = {WISH.names.job_id: LiveJob(8, False, META)}
    assert plan(replace(SETTLED, jobs=jobs)).changes[0].reasons == ("drift: its job was changed",)
    jobs = {WISH.names.job_id: LiveJob(8, True, META)}
    assert plan(replace(SETTLED, jobs=jobs)).changes[0].reasons == ("drift: its job was stopped",)
    assert plan(replace(SETTLED, jobs={})).changes[0].reasons == ("drift: its job is gone",)


def test_drift_is_found_in_the_value_only_where_the_index_says_to_look() -> None:
    other = {WISH.names.kv_key: hash_text("somebody's")}
    made = plan(replace(SETTLED, live_index=41, values=other))
    assert made.changes[0].reasons == ("drift: its value in Consul was changed",)
    assert made.live_index_moved
    assert plan(replace(SETTLED, live_index=41, values={WISH.names.kv_key: VALUE})).is_empty
    made = plan(replace(SETTLED, live_index=41, live_keys=frozenset(), values={}))
    assert made.changes[0].reasons == ("drift: its value in Consul is gone",)


def test_drift_is_found_in_the_boxes_value_as_in_its_pbxs() -> None:
    wish = replace(WISH, files={**FILES, "box/etc/iax.conf": "[pbx]\n"})
    pbx, box = wish.names.kv_key, wish.names.box_kv_key
    record = replace(RECORD, box=wish.digests.box, box_value=hash_text("the box's"))
    held = {pbx: VALUE, box: hash_text("the box's")}
    settled = replace(SETTLED, records={"acme/salto": record}, live_keys=frozenset(held))
    moved = replace(settled, live_index=41, values=held)
    assert plan(settled, wish).is_empty and plan(moved, wish).is_empty
    made = plan(replace(moved, values={**held, box: hash_text("somebody's")}), wish)
    assert made.changes[0].reasons == ("drift: its box's value in Consul was changed",)
    assert parts(made) == "live"
    made = plan(replace(settled, live_keys=frozenset({pbx})), wish)
    assert made.changes[0].reasons == ("drift: its box's value in Consul is gone",)
    before = replace(record, box_value="")  # an older version of RITI wrote it, elsewhere
    assert not plan(replace(moved, records={"acme/salto": before}), wish).is_empty


def test_a_foreign_job_of_our_name_is_reported_and_left_alone() -> None:
    for meta in ({}, {"riti.fleet": "other", "riti.box": "acme/salto"}, META | {"riti.box": "acme/other"}):
        made = plan(replace(SETTLED, jobs={WISH.names.job_id: LiveJob(7, False, meta)}))
        assert made.is_empty
        assert len(made.conflicts) == 1


def test_a_unit_that_was_stopped_and_is_wished_again_is_registered_again() -> None:
    records = {"acme/salto": replace(RECORD, stopped_at=NOW.isoformat())}
    for jobs in ({WISH.names.job_id: LiveJob(9, True, META)}, {}):
        made = plan(replace(SETTLED, jobs=jobs, records=records))
        assert parts(made) == "job"
        assert "wished again" in made.changes[0].reasons[0]


def test_lighthouses_come_first_because_nobody_finds_anybody_without() -> None:
    lighthouse = Wish(
        UnitNames("demo", "lighthouse", "one"), {k: v for k, v in FILES.items() if k[:3] == "pbx"}
    )
    made = make_plan([WISH, lighthouse], FLEET_ID, replace(SETTLED, jobs={}, records={}))
    assert [change.key for change in made.changes] == ["lighthouse/one", "acme/salto"]


def test_a_record_survives_its_bytes() -> None:
    assert read_record("k", RECORD.to_bytes()) == RECORD


def test_a_refused_job_keeps_no_certificate_from_its_renewal() -> None:
    bad = replace(
        RECORD, bad_job=hash_text(WISH.job), job="before", renew_at=(NOW - timedelta(days=1)).isoformat()
    )
    made = plan(replace(SETTLED, records={"acme/salto": bad}))
    assert made.refused == (WISH,)
    assert parts(made) == "secrets live"
    [problem] = describe_refused(made.refused, {"acme/salto": bad}, NOW)
    assert "certificate" not in str(problem)


def test_where_it_would_bring_along_what_is_refused_it_is_told() -> None:
    bad = replace(
        RECORD, bad_job=hash_text(WISH.job), live="before", renew_at=(NOW - timedelta(days=1)).isoformat()
    )
    made = plan(replace(SETTLED, records={"acme/salto": bad}))
    assert made.changes == ()
    [problem] = describe_refused(made.refused, {"acme/salto": bad}, NOW)
    assert "its overlay certificate, due since 2026-11-22, is not renewed meanwhile" in str(problem)
