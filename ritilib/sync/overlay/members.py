"""Who has which of the overlay's authorities, and whose certificate: as the inventory, Nomad and the boxes say it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic import ValidationError

from ritilib.clients.nebula import OverlayTool
from ritilib.clients.protocols import ConsulClient, NomadClient
from ritilib.errors import RitiError
from ritilib.reconcile.authority import Member, Standing
from ritilib.reconcile.state import Record
from ritilib.render.names import UnitNames
from ritilib.sync.enroll.found import read_bindings
from ritilib.sync.overlay.kept import Kept
from ritilib.sync.seen.boxes import Report, read_report
from ritilib.sync.unit.word import read_word

# jobs/parts/overlay.nomad.hcl.j2 has Nomad write them there, and send Nebula SIGHUP after it
CA_FILE, CRT_FILE = "overlay/local/ca.crt", "overlay/local/host.crt"


@dataclass(frozen=True)
class Looker:
    """Asks the servers of one fleet. Methods raise Unreachable, Denied or ServerError: what is not known is nothing."""

    fleet: str
    nomad: NomadClient
    consul: ConsulClient
    tool: OverlayTool | None = None  # without it boxes alone are looked at

    def look(self, kept: Kept, records: Mapping[str, Record]) -> tuple[Member, ...]:
        """All that have a certificate; records is the inventory.

        Tasks are asked only where every document is written and every box has acknowledged: that costs two requests for
        each, and until then nobody goes on anyway. Of those that are not asked nothing is claimed.
        """
        standing = kept.standing
        alive = find_alive(records)
        members = [_look_at_record(key, one, standing) for key, one in alive.items()]
        members += self.look_at_boxes(alive, standing)
        if all(one.has(standing) for one in members):
            boxes = [one for one in members if one.kind == "box"]
            members = [*boxes, *(self._ask_tasks(key, kept) for key in alive)]
        return tuple(members)

    def look_at_boxes(self, records: Mapping[str, Record], standing: Standing) -> Iterator[Member]:
        """Boxes that were let in; what they say of themselves, and where they lag whether their PBX sees them."""
        bindings = read_bindings(self.consul, self.fleet).bindings
        keys = [key for key, one in bindings.items() if one.state == "bound" and key in records]
        places = {self._name(key).box_report: key for key in keys}
        said = {places[place]: entry.value for place, entry in self.consul.read_all(sorted(places)).items()}
        for key in keys:
            report = _understand(said.get(key))
            member = Member(key, "box", report.overlay_edition, report.overlay_authority)
            if member.has(standing):
                yield member
                continue
            word = read_word(self.nomad, self._name(key).job_id)
            is_away = word is None or not word.is_linked
            lag = f"it said nothing yet{' and its PBX does not see it' if is_away else ''}"
            if key in said:
                away = "its PBX does not see it" if is_away else ""
                lag = away or report.why or "it does not say that it has it"
            yield Member(key, "box", report.overlay_edition, report.overlay_authority, is_away, lag)

    def _ask_tasks(self, key: str, kept: Kept) -> Member:
        """What Nebula of every running allocation has as files."""
        running = self.nomad.find_running(self._name(key).job_id)
        if not running:
            return Member(key, "pbx", 0, 0, is_away=True, lag="nothing of it runs")
        is_spreading = kept.standing.phase == "spreading"
        texts = [
            self.nomad.read_alloc_file(one, CA_FILE if is_spreading else CRT_FILE) or b"" for one in running
        ]
        if is_spreading:
            # Nomad's template ends with a line of its own
            trusted = kept.authority.trusted.strip()
            has_all = all(text.decode("utf-8", "replace").strip() == trusted for text in texts)
            lag = "" if has_all else "its overlay has not been given them yet"
            return Member(key, "pbx", kept.standing.edition if has_all else 0, 0, lag=lag)
        is_new = all(self._is_signed(text, kept) for text in texts)
        lag = "" if is_new else "its overlay has not been given its new certificate yet"
        return Member(key, "pbx", 0, kept.standing.generation if is_new else 0, lag=lag)

    def _is_signed(self, crt: bytes, kept: Kept) -> bool:
        """Whether a certificate is of the authority that signs now."""
        if not crt or self.tool is None:
            return False
        try:
            issuer = self.tool.read_certificate(crt.decode("utf-8", "replace")).issuer
        except RitiError:
            return False
        return issuer == self.tool.read_certificate(kept.signer.crt).fingerprint

    def _name(self, key: str) -> UnitNames:
        return UnitNames(self.fleet, *key.split("/"))


def find_alive(records: Mapping[str, Record]) -> dict[str, Record]:
    """Units that have a certificate, and were not stopped."""
    return {key: one for key, one in records.items() if one.secrets and not one.stopped_at}


def find_away(looker: Looker, records: Mapping[str, Record], standing: Standing) -> tuple[Member, ...]:
    """Boxes that would be cut off were the authority before trusted no longer from now on: they have not what it takes,
    and their PBX does not see them. They come back through the gateway, and have telephones in the office meanwhile."""
    if standing.phase == "settled":
        standing = replace(standing, phase="spreading", edition=standing.edition + 1)
    return tuple(one for one in looker.look_at_boxes(find_alive(records), standing) if one.is_away)


def _look_at_record(key: str, record: Record, standing: Standing) -> Member:
    lag = ""
    if record.state == "applying":
        lag = "it is not written whole yet"
    elif record.edition < standing.edition:
        lag = "its documents are not written anew yet"
    elif standing.phase == "renewing" and record.signed_by < standing.generation:
        lag = "its turn comes later"
    if record.state == "applying":
        return Member(key, "pbx", 0, 0, lag=lag)
    return Member(key, "pbx", record.edition, record.signed_by, lag=lag)


def _understand(value: bytes | None) -> Report:
    try:
        return read_report(value) if value else Report()
    except ValidationError:
        return Report()
