"""A merged fleet of boxes that are to enroll, as the registry reads it, and what lies on their cards."""

from __future__ import annotations

import json

from bench.lab.box_servers import FLEET, FLEET_ID
from ritilib.clients.vault_signing import SigningKey
from ritilib.enroll.claim import draft_claim, make_claim, seal_claim
from ritilib.gitops.company import Unit
from ritilib.gitops.desired import Desired
from ritilib.render.names import UnitNames
from ritilib.render.rules import EnrollmentRules

COMPANY_SIZE = 50
CLAIM_DAYS = 30


def name_box(number: int, company: str = "c") -> UnitNames:
    """The names of a box by its number; company is what its company's name begins with."""
    return UnitNames(FLEET, f"{company}{number // COMPANY_SIZE}", f"b{number % COMPANY_SIZE}")


def name_serial(number: int) -> str:
    return f"{number:016x}"


def make_desired(boxes: int) -> Desired:
    """A commit with so many boxes, whose PBXes wait for them."""
    units = sorted((_make_unit(one) for one in range(boxes)), key=lambda one: one.key)
    return Desired(FLEET, FLEET_ID, "root", "commit 1", tuple(units), ())


def write_claim(key: SigningKey, names: UnitNames, number: int, now_s: float) -> str:
    """What `riti box claim` writes onto a card."""
    jti = f"{names.job_id}-{int(now_s)}"
    serial = name_serial(number)
    draft = draft_claim(make_claim(FLEET, FLEET_ID, names.key, jti, int(now_s) - 60, CLAIM_DAYS, 1, serial))
    return seal_claim(draft, key.sign(draft))


def _make_unit(number: int) -> Unit:
    names = name_box(number)
    network = f"100.80.{number // 250}.{number % 250 + 1}/16"
    overlay = {"name": f"box.{names.key}", "network": network, "groups": [names.company]}
    files = {"box/secrets.json": json.dumps({"overlay": overlay})}
    rules = EnrollmentRules(serial=name_serial(number))
    return Unit(names.key, "pbx", files, awaits_box=True, enrollment=rules)
