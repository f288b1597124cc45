"""What goes onto a card: signed by Vault with the operator's token, written whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from pathlib import Path

from ritilib.clients.settings import read_settings
from ritilib.clients.vault import Vault
from ritilib.clients.vault_signing import SigningKey
from ritilib.devstack.folders import write_private
from ritilib.enroll.card import CLAIM_FILE, JOIN_FILE, Join
from ritilib.enroll.claim import Claim, draft_claim, make_claim, read_claim, seal_claim
from ritilib.errors import FleetError, Problem, RitiError
from ritilib.fleet.edit_enrollment import read_box
from ritilib.fleet.load import load_fleet
from ritilib.gitops.worktree import read_fleet_files
from ritilib.render.names import EnrollmentNames

JTI_BYTES = 24


def write_card(
    repo: Path, key: str, out: Path, ca: Path, days: int, otp: Path | None, datacenter: str
) -> Claim:
    """Write the folder `out`, which must not be there yet. Raises FleetError, RitiError, and as Vault's client does.

    The card is put together beside its place and renamed: a folder of this name is a whole card.
    """
    if out.exists():
        raise RitiError.because(f"{out} is there already", "name a new folder: a card is written once")
    files = read_fleet_files(repo)
    fleet, box = load_fleet(files).fleet.said, read_box(files, key)
    if box.enrollment.revoked:
        mend = f"new hardware is let in by `riti enroll replace {key}`"
        raise FleetError([Problem("", 0, 0, f"{key} is revoked", mend)])
    if fleet.gateway is None:
        what = "`gateway` is missing: boxes would not know where to ask"
        raise FleetError([Problem("fleet/fleet.yaml", 0, 0, what, "add it with its addresses")])
    names = EnrollmentNames(fleet.name)
    key_of_vault = SigningKey(Vault(read_settings(os.environ, ("vault",))), names.claim_key)
    claim = make_claim(
        fleet.name,
        str(fleet.id),
        key,
        secrets.token_urlsafe(JTI_BYTES),
        int(time.time()),
        days,
        box.enrollment.generation,
        box.serial,
        otp.read_text(encoding="ascii") if otp else None,
    )
    draft = draft_claim(claim)
    signed = seal_claim(draft, key_of_vault.sign(draft))
    read_claim(signed, key_of_vault.read_public_keys())  # a card that nobody takes is found out here
    join = Join(
        fleet=fleet.name,
        fleet_id=str(fleet.id),
        unit=key,
        gateway=list(fleet.gateway.addresses),
        ca=ca.read_text(encoding="ascii"),
        datacenter=datacenter,
    )
    beside = out.with_name(f".{out.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True, mode=0o700)
    write_private(beside / CLAIM_FILE, f"{signed}\n")
    write_private(beside / JOIN_FILE, join.model_dump_json(indent=2) + "\n")
    beside.rename(out)
    return claim
