"""One unit's parts written in the order of rule 11, each step idempotent, an intent recorded first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from ritilib.clients.nebula import Authority, OverlayTool
from ritilib.clients.protocols import ConsulClient, NomadClient, VaultClient
from ritilib.reconcile.box_value import encode_box_value
from ritilib.reconcile.lost import is_silent
from ritilib.reconcile.plan import Change
from ritilib.reconcile.restarts import Restart
from ritilib.reconcile.rotation import FIRST, Generations
from ritilib.reconcile.state import LiveJob, Record, Wish, hash_text
from ritilib.sync.observe import Places
from ritilib.sync.unit.begin import begin_replacing
from ritilib.sync.unit.door import count_calls, write_closed
from ritilib.sync.unit.job import plan_job, write_job
from ritilib.sync.unit.secrets import write_secrets
from ritilib.sync.unit.values import Put, put_all
from ritilib.sync.unit.word import Speaker

JWT_MOUNT = "jwt-nomad"
TOKEN_AUDIENCE = "vault.io"
# Nomad ends a task whose token has expired while it cannot log in again, as when Vault is back before Nomad's servers:
# so a task's token outlives every outage that one means to survive. Its policy, not its age, is what bounds it.
TOKEN_PERIOD_S = 30 * 24 * 3600


@dataclass(frozen=True)
class Servers:
    """What a sync writes to, and what it signs overlay certificates with."""

    nomad: NomadClient
    consul: ConsulClient
    vault: VaultClient
    overlay: OverlayTool
    authority: Callable[[], Authority]  # read from Vault when the first certificate is needed


@dataclass(frozen=True)
class Leave:
    """When the unit's running task may be replaced: "idle" is without a call; why says what "never" waits for."""

    when: Literal["never", "idle", "always"]
    why: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one unit.

    registered_index: the job version to wait for (None where the job was not looked at). held: why nothing of it was
    written; busy: it waits for its calls to end. values: as in Record, of what Consul now holds. record and index:
    its new entry in the inventory, where the running task was replaced and is not judged yet. restart: what is known by
    now to replace a task, where that is why it is held.
    """

    key: str
    registered_index: int | None = None
    held: str = ""
    busy: bool = False
    values: tuple[str, str] = ("", "")
    record: Record | None = None
    index: int = 0
    restart: Restart | None = None

    @property
    def is_untouched(self) -> bool:
        """Whether nothing of it was written, not even its door."""
        return self.restart is not None


def apply_change(
    change: Change,
    fleet_id: str,
    commit: str,
    record: Record | None,
    record_index: int,
    servers: Servers,
    now: datetime,
    leave: Leave,
    generations: Generations | None = None,
    live: LiveJob | None = None,
    restart: Restart | None = None,
) -> Outcome:
    """Bring one unit to its wish: secrets → policy and role → KV → job → inventory.

    record and record_index are the inventory's entry as it was read (None, 0: there is none). Where the job would
    replace a running task, the whole unit is held back as leave says (rules 9 and 11: a new dial plan may need the new
    image). generations are those of its links' secrets (None: as before); live is its job as the list shows it (None:
    there is none). restart is what is known of it already: where that makes it wait, Nomad is not asked. Raises
    Conflict where another writer came in between; nothing is tried again blindly.
    """
    wish, places = change.wish, Places(change.wish.names.fleet)
    base = record or Record("applying", commit)
    speaker = Speaker(servers.nomad, wish.names.job_id)
    if restart and (held := _find_hold(change, leave, base, restart, speaker, live)):
        return held
    planned = plan_job(wish, live, servers.nomad) if change.job else None
    replaces = planned is not None and planned[1].changes == "destructive"
    if planned and replaces and not restart:
        found = Restart(wish.digests.job, planned[1].modify_index)
        if held := _find_hold(change, leave, base, found, speaker, live):
            return held
    waits_for_calls = replaces and leave.when == "idle" and not wish.names.is_lighthouse
    entry = places.record(change.key)
    begun = base
    if replaces:
        begun = replace(base, replaced_by=commit, replaced_at=now.isoformat(), judged="", judged_at="")
    is_known = bool(base.secrets)
    if is_known and generations:
        # before anything of it is written: an end that may have more than was recorded would be taken for one behind
        begun = replace(begun, generations=generations)
    intent = replace(begun, state="applying", commit=commit)
    index, value_index = record_index, _find_value_index(change, record)
    if replaces:
        waited_for = speaker if waits_for_calls else None
        room = begin_replacing(wish, record, intent, index, servers.nomad, servers.consul, waited_for)
        if room.why:
            return Outcome(change.key, held=room.why, busy=True, values=base.values)
        index, value_index = room.index, room.value_index
        begun = replace(begun, kept_index=room.record.kept_index)
    elif intent != record:
        index = servers.consul.write(entry, intent.to_bytes(), record_index)
    done = begun
    if change.secrets:
        documents = write_secrets(
            wish,
            fleet_id,
            servers.vault,
            servers.authority(),
            servers.overlay,
            now,
            generations or base.holds,
            is_known,
            is_new=record is None,
        )
        done = replace(
            done,
            box_version=documents.box_version,
            generations=documents.generations if documents.generations != FIRST else None,
            secrets=wish.digests.secrets,
            secrets_version=documents.version,
            renew_at=documents.renew_at.isoformat(),
            edition=documents.edition,
            signed_by=documents.signed_by,
        )
    if change.policies:
        _write_policies(wish, fleet_id, servers, is_new=record is None)
        done = replace(done, policies=wish.digests.policies)
    if change.live or waits_for_calls:
        value = wish.live_value(done.secrets_version)
        if waits_for_calls and wish.live:
            # sync.judge opens the door when the new task is up: the old one could else take a call in its last moment
            value = write_closed(value)
        puts = [Put(wish.names.kv_key, value, value_index)]
        if box := _find_box_put(change, record, done.box_version, commit, servers.consul):
            puts.append(box)
        written = put_all(puts, servers.consul)
        done = replace(
            done,
            live=wish.digests.live,
            value=hash_text(value),
            value_index=written[wish.names.kv_key],
            box=wish.digests.box,
            box_value=hash_text(box.value) if box else base.box_value,
            box_index=written.get(wish.names.box_kv_key, base.box_index),
        )
    registered = None
    if planned:
        registered = write_job(*planned, servers.nomad)
        done = replace(done, job=wish.digests.job, job_modify_index=registered, bad_job="")
    done = replace(done, state="applied", commit=commit)
    index = servers.consul.write(entry, done.to_bytes(), index)
    # also where an earlier sync replaced it, and did not live to judge it
    unjudged = done if done.replaced_at and not done.judged else None
    return Outcome(change.key, registered, "", False, done.values, unjudged, index)


def _find_hold(
    change: Change, leave: Leave, base: Record, restart: Restart, speaker: Speaker, live: LiveJob | None
) -> Outcome | None:
    """Why what would replace its task waits; None where it may go on."""
    if leave.when == "never":
        return Outcome(change.key, held=leave.why, values=base.values, restart=restart)
    if leave.when == "always" or change.wish.names.is_lighthouse:
        return None
    if live and is_silent(live):
        # it may be alive and have calls, and what was rendered before there were pairs has its successor's address
        why = "its host has lost Nomad's servers: it waits until that is back, or another host has it"
    else:
        why = count_calls(speaker)
    return Outcome(change.key, held=why, busy=True, values=base.values, restart=restart) if why else None


def _find_box_put(
    change: Change, record: Record | None, version: int, commit: str, consul: ConsulClient
) -> Put | None:
    """What its box's key is to say, with this version of its document in Vault; None where it says so already.

    The same by another commit would have the box look for nothing.
    """
    wish, key = change.wish, change.wish.names.box_kv_key
    if not wish.digests.box:
        return None
    index = (record.box_index or None) if record else 0
    is_as_it_was = record and (wish.digests.box, version) == (record.box, record.box_version)
    if record and is_as_it_was and record.state == "applied":
        if not _is_edited(change):
            return None
        held = consul.read(key)
        if held and hash_text(held.value) == record.box_value:
            return None
        index = held.modify_index if held else 0
    return Put(key, encode_box_value(wish.box_files, version, commit), index)


def _is_edited(change: Change) -> bool:
    """Whether a hand has changed its value in Consul, or its box's."""
    return any(why.part == "live" and why.cause == "drift" for why in change.whys)


def _find_value_index(change: Change, record: Record | None) -> int | None:
    """By which its value may be written without a look; None where a look is due."""
    if record is None:
        return 0
    return None if _is_edited(change) or record.state != "applied" else record.value_index or None


def _write_policies(wish: Wish, fleet_id: str, servers: Servers, is_new: bool) -> None:
    names, description = wish.names, describe_owner(fleet_id, wish.names.key)
    servers.vault.put_policy(names.role, wish.files["pbx/vault-policy.hcl"], is_new)
    servers.vault.put_role(JWT_MOUNT, names.role, vault_role(wish), is_new)
    servers.consul.put_policy(names.role, wish.files["pbx/consul-policy.hcl"], description, is_new)
    servers.consul.put_role(names.role, (names.role,), description, is_new)


def describe_owner(fleet_id: str, key: str) -> str:
    """The mark that a unit's ACL objects in Consul bear."""
    return f"riti {fleet_id} {key}"


def vault_role(wish: Wish) -> dict[str, Any]:
    """The JWT role that only this unit's job can take: Nomad signs the job's id into each workload identity."""
    claims = {"nomad_job_id": wish.names.job_id, "nomad_namespace": "default"}
    return make_task_role(claims, "nomad_task", wish.names.role, TOKEN_PERIOD_S)


def make_task_role(claims: Mapping[str, str], noted: str, policy: str, period_s: int) -> dict[str, Any]:
    """The JWT role that an identity with these claims can take; noted: which one, beside the job, its tokens tell."""
    return {
        "role_type": "jwt",
        "bound_audiences": [TOKEN_AUDIENCE],
        "bound_claims": dict(claims),
        "user_claim": "/nomad_job_id",
        "user_claim_json_pointer": True,
        "claim_mappings": {"nomad_job_id": "nomad_job_id", noted: noted},
        "token_type": "service",  # a batch token can have no children
        "token_policies": [policy],
        "token_no_default_policy": False,
        "token_period": period_s,
        "token_explicit_max_ttl": 0,
    }
