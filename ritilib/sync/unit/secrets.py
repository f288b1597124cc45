"""The secrets of one unit: made so that a sync that was killed in the middle makes the same ones again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from ritilib.clients.nebula import Authority, OverlayTool
from ritilib.clients.protocols import VaultClient
from ritilib.clients.vault import Document
from ritilib.errors import Conflict, GitopsError, Problem
from ritilib.reconcile.authority import CERTIFICATE_HOURS, find_turn
from ritilib.reconcile.rotation import FIRST, Generations
from ritilib.reconcile.state import Wish
from ritilib.render.names import SECOND_OVERLAY, join_secrets
from ritilib.sync.overlay.kept import read_kept

JITTER_HOURS = 72
ADMIN_PASSWORD_LONGEST = 30  # of a Grandstream HT8xx; 30 hexadecimal digits are 120 bits
OVERLAYS = ("overlay", SECOND_OVERLAY)
_DEVICES = (("line", None), ("adapter", ADMIN_PASSWORD_LONGEST))  # and how long their passwords may be


@dataclass(frozen=True)
class Written:
    """The versions of the unit's documents that are now current (box_version 0: it has no box), from when its
    certificate is due, the generations of its links' secrets, what is said of the overlay's authorities, and which
    one signed."""

    version: int
    renew_at: datetime
    box_version: int = 0
    generations: Generations = FIRST
    edition: int = 1
    signed_by: int = 1


def read_authority(vault: VaultClient, fleet: str) -> Authority:
    """The overlay's CA; ServerError where `riti bootstrap` has not made it."""
    return read_kept(vault, fleet).authority


def write_secrets(
    wish: Wish,
    fleet_id: str,
    vault: VaultClient,
    authority: Authority,
    tool: OverlayTool,
    now: datetime,
    generations: Generations = FIRST,
    is_known: bool = True,
    is_new: bool = False,
) -> Written:
    """Make the documents of the unit's PBX (and of its box) say what the wish names; write only what differs.

    generations are those of its links' secrets. Where the inventory knows nothing of the unit (not is_known), those
    that its document holds stay: it may be in the middle of a rotation whose inventory was lost. is_new: there is no
    document as far as is known, so that none is looked at before one cannot be made.

    Pair secrets and telephone passwords are Vault transit's HMAC of their names, so both ends of a pair and a
    second try come to the same. Raises Conflict where somebody else wrote in between.
    """
    if is_new:
        try:
            return _write_documents(
                wish, fleet_id, vault, authority, tool, now, generations, is_known, lambda _path: None
            )
        except Conflict:
            pass  # there is one: the inventory was lost, or a deletion is not known of
    return _write_documents(
        wish, fleet_id, vault, authority, tool, now, generations, is_known, vault.read_document
    )


def _write_documents(
    wish: Wish,
    fleet_id: str,
    vault: VaultClient,
    authority: Authority,
    tool: OverlayTool,
    now: datetime,
    generations: Generations,
    is_known: bool,
    read: Callable[[str], Document | None],
) -> Written:
    document = read(wish.names.document)
    wanted = _read_wanted(wish, "pbx/secrets.json", "{}", ("overlay", "pairs"))
    of_box = _read_wanted(wish, "box/secrets.json", "null", ("pairs", "phones", "generation"))
    held: Mapping[str, Any] = document.data if document else {}
    # a PBX has one for each of its pair of addresses; both are due on one day, since they bear one name
    identities = {
        field: _keep_or_make_identity(held.get(field), wanted[field], wish.names.key, authority, tool, now)
        for field in OVERLAYS
        if field in wanted
    }
    if document and not is_known:
        generations = _read_generations(held)
    # left out while nothing was ever rotated, or every document would be written again
    links = {} if generations == FIRST else {"links": asdict(generations)}
    pairs = _name_pairs(wish, wanted, fleet_id, generations)
    box_pairs = _name_pairs(wish, of_box, fleet_id, generations) if of_box else {}
    phones = _name_phones(wish, of_box, fleet_id) if of_box else {}
    texts = {
        *phones.values(),
        *(one for named in (pairs, box_pairs) for ends in named.values() for one in ends),
    }
    hmacs = vault.compute_hmacs(wish.names.fleet, sorted(texts))
    data: dict[str, Any] = {field: identity for field, (identity, _) in identities.items()}
    data |= {"iax": _join_pairs(pairs, hmacs), **links}
    box_version = 0
    version = _write(vault, wish.names.document, document, data)
    if of_box:
        data = {
            "iax": _join_pairs(box_pairs, hmacs),
            "phones": {number: hmacs[phones[number]] for number in of_box["phones"]},
        }
        for device, length in _DEVICES:
            if of_box.get(device):
                data[device] = hmacs[phones[device]][:length]
        if authority.edition > 1:
            data["overlay"] = _tell_authorities(wish.names.key, authority)
        box_document = read(wish.names.box_document)
        box_version = _write(vault, wish.names.box_document, box_document, data)
    renew_at = min(due for _, due in identities.values())
    signed_by = min(int(identity.get("authority", 1)) for identity, _ in identities.values())
    return Written(version, renew_at, box_version, generations, authority.edition, signed_by)


def _read_wanted(wish: Wish, path: str, absent: str, needed: tuple[str, ...]) -> Any:
    """What a rendered file asks for; GitopsError where no render wrote it: its unit alone fails then."""
    try:
        said = json.loads(wish.files.get(path, absent))
        if said is None or all(key in said for key in needed):
            return said
    except (ValueError, TypeError):
        pass
    what = "does not say which secrets there are to be"
    raise GitopsError(
        [Problem(f"{wish.names.key}/{path}", 0, 0, what, "run `riti render` and propose the result")]
    )


def _name_pairs(
    wish: Wish, wanted: Mapping[str, Any], fleet_id: str, generations: Generations
) -> dict[str, list[str]]:
    """IAX2 section → what the HMACs are of, for every pair that the unit is an end of; two while one is rotated."""
    return {
        section: [
            "\n".join([fleet_id, wish.names.company, *sorted(ends), str(generation)])
            for generation in generations.in_order
        ]
        for section, ends in sorted(wanted["pairs"].items())
    }


def _join_pairs(pairs: Mapping[str, list[str]], hmacs: Mapping[str, str]) -> dict[str, str]:
    """IAX2 section → secret."""
    return {section: join_secrets(hmacs[text] for text in texts) for section, texts in pairs.items()}


def _name_phones(wish: Wish, wanted: Mapping[str, Any], fleet_id: str) -> dict[str, str]:
    """Telephone's number, "line" or "adapter" → what the HMAC of its password is of; it is bound to its box."""
    names = [*wanted["phones"], *(device for device, _ in _DEVICES if wanted.get(device))]
    return {
        name: "\n".join([fleet_id, wish.names.key, "phone", name, str(wanted["generation"])])
        for name in names
    }


def _read_generations(data: Mapping[str, Any]) -> Generations:
    said = data.get("links")
    return Generations(tuple(said["accept"]), said["use"]) if said else FIRST


def _tell_authorities(key: str, authority: Authority) -> dict[str, Any]:
    """What a box is told of the overlay's authorities; from renew_from on its certificate is to be of this one."""
    turn = find_turn(authority.since, authority.renew_by, f"box {key}") if authority.renew_by else None
    return {
        "ca": authority.trusted,
        "edition": authority.edition,
        "authority": authority.generation,
        "renew_from": turn.isoformat() if turn else "",
    }


def _keep_or_make_identity(
    held: Mapping[str, Any] | None,
    wanted: Mapping[str, Any],
    key_of_unit: str,
    authority: Authority,
    tool: OverlayTool,
    now: datetime,
) -> tuple[Mapping[str, Any], datetime]:
    """The overlay identity in force, with all authorities that it is to trust; or a new one where it is another's,
    another CA's, or due."""
    if held and _is_good(held, key_of_unit, authority, now):
        certificate = tool.read_certificate(held["crt"])
        renew_at = find_due(certificate.not_after, wanted["name"])
        same = (
            certificate.name == wanted["name"]
            and list(certificate.networks) == [wanted["network"]]
            and list(certificate.groups) == wanted["groups"]
        )
        if same and now < renew_at:
            return {**held, "ca": authority.trusted}, renew_at
    key = tool.make_key()
    crt = tool.sign(
        authority, key.public, wanted["name"], wanted["network"], tuple(wanted["groups"]), CERTIFICATE_HOURS
    )
    not_after = tool.read_certificate(crt).not_after
    # left out while there never was another, or every document would be written again
    by = {"authority": authority.generation} if authority.generation > 1 else {}
    identity = {"ca": authority.trusted, "crt": crt, "key": key.private, **by}
    return identity, find_due(not_after, wanted["name"])


def _is_good(held: Mapping[str, Any], key: str, authority: Authority, now: datetime) -> bool:
    """Whether a certificate is of an authority that stays, or of the one before while it is not its turn."""
    if held.get("authority", 1) == authority.generation:
        # who signed is trusted alone, or beside another
        return authority.edition > 1 or held["ca"] == authority.crt
    return bool(authority.renew_by) and now < find_turn(authority.since, authority.renew_by, key)


def find_due(not_after: datetime, name: str) -> datetime:
    """Two thirds before its end, and by the name up to three days earlier, so that not all are due in one hour."""
    early = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % JITTER_HOURS
    return not_after - timedelta(hours=CERTIFICATE_HOURS * 2 / 3 + early)


def _write(vault: VaultClient, path: str, read: Document | None, data: dict[str, Any]) -> int:
    """The version that says data: the one that was read, or a new one bound to it."""
    if read and read.data == data:
        return read.version
    return vault.write_document(path, data, read.version if read else 0)
