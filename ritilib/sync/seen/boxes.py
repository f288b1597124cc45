"""The boxes as whoever looks sees them: what each says of itself, and whether it is let in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from ritilib.clients.protocols import ConsulClient
from ritilib.enroll.binding import Binding, read_binding
from ritilib.errors import EnrollError, Problem
from ritilib.render.names import EnrollmentNames, UnitNames
from ritilib.sync.enroll.found import read_bindings
from ritilib.sync.observe import Places

MOST_WORDS = 300  # of a reason in a row; the whole is in --json
HASH_SHOWN = 12


def _calm(text: str) -> str:
    """A box may write anything: nothing of it steers a terminal, or breaks a row."""
    return "".join(one if one.isprintable() else " " for one in text)


Text = Annotated[str, AfterValidator(_calm)]
Grade = Literal["well", "pending", "failed"]


class Refused(BaseModel):
    """The configuration that a box took last for one that it does not take."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    identity: Text = ""
    why: Text = ""
    at_s: int = 0


class Update(BaseModel):
    """What a box says of its image (ritilib.box.image.Progress)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Text = ""
    slot: Text = ""
    committed: bool = False
    wished: Text = ""
    state: Text = ""
    why: Text = ""
    percent: int | None = None
    failed: Mapping[Text, Text] = {}


class Report(BaseModel):
    """What a box wrote of itself (ritilib.box.report): of any version, so whatever is missing is not known."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Text = ""
    image: Text = ""
    serial: Text = ""
    state: Text = ""
    link: Text = "unknown"
    channels: int = 0
    in_force: Text = ""
    secrets_version: int = 0
    commit: Text = ""
    confirmed: bool = False
    refused: Refused | None = None
    why: Text = ""
    uptime_s: int | None = None
    temperature_c: int | None = None
    disk_free_bytes: int | None = None
    adapter: bool | None = None
    rescued: int = 0
    overlay_edition: int = 0
    overlay_authority: int = 0
    update: Update | None = None


@dataclass(frozen=True)
class BoxLook:
    """One box: binding as the controller holds it (None: it knows nothing of it), report as the box wrote it last
    (None: it said nothing, or nothing that can be read)."""

    key: str
    binding: Binding | None
    report: Report | None

    @property
    def state(self) -> str:
        """As `riti enroll list` has it; "unknown" where the controller holds nothing of it."""
        if self.binding is None:
            return "unknown"
        return "conflicting" if self.binding.state == "conflict" else self.binding.state

    @property
    def grade(self) -> Grade:
        """A box that is switched off is well: offices are, at night. What is in force and was refused is not."""
        if self.state == "conflicting":
            return "failed"
        if self.state == "bound" and self.report and (self.report.refused or self.report.why):
            # with a configuration that it keeps it has telephones, but not those that were merged
            return "failed" if self.report.refused or "refused" in self.report.why else "pending"
        if self.state == "bound" and self.report and self.report.update and self.report.update.state:
            return "failed" if self.report.update.state == "failed" else "pending"
        return "pending" if self.state == "waiting" else "well"

    @property
    def why(self) -> str:
        """What is to be known of it, "" where it is as wished."""
        parts = [self.binding.why] if self.binding and self.binding.why else []
        if report := self.report:
            if report.why:
                parts.append(report.why)
            if (update := report.update) and update.state:
                parts.append(_describe_update(update))
            if report.rescued:
                parts.append(f"somebody beside it started it in the rescue way, {report.rescued} times")
            if (refused := report.refused) and refused.why not in report.why:
                at = datetime.fromtimestamp(refused.at_s, UTC).isoformat(timespec="seconds")
                parts.append(f"refused {refused.identity[:HASH_SHOWN]} at {at}: {refused.why}")
        return "; ".join(parts)

    def describe(self) -> dict[str, Any]:
        """Stable, for programs."""
        return {
            "box": self.key,
            "state": self.state,
            "why": self.why,
            "report": self.report.model_dump() if self.report else None,
        }


def _describe_update(update: Update) -> str:
    """How far it is with another image, in words."""
    about = f"image {update.wished}, from {update.version}"
    percent = "" if update.percent is None else f", {update.percent} %"
    return f"{about}: {update.state}{percent}{f' ({update.why})' if update.why else ''}"


def look_at_boxes(
    fleet: str, consul: ConsulClient, company: str | None = None
) -> tuple[tuple[BoxLook, ...], tuple[Problem, ...]]:
    """The boxes of a fleet, or of one company, sorted; and what could not be read.

    Two requests, and one more for each 64 boxes.
    """
    found = read_bindings(consul, fleet)
    prefix, end = f"{Places(fleet).boxes}{f'{company}/' if company else ''}", "/report"
    written = [key for key in consul.list_keys(prefix).keys if key.endswith(end)]
    problems = list(found.problems)
    reports: dict[str, Report] = {}
    for key, entry in consul.read_all(written).items():
        unit = key.removeprefix(Places(fleet).boxes).removesuffix(end)
        try:
            reports[unit] = read_report(entry.value)
        except ValidationError:
            what = f"{key} in Consul is no report of a box"
            problems.append(Problem("", 0, 0, what, "see what runs on it", severity="warning"))
    keys = {key for key in found.bindings if company is None or key.startswith(f"{company}/")}
    looks = [BoxLook(key, found.bindings.get(key), reports.get(key)) for key in sorted(keys | reports.keys())]
    return tuple(looks), tuple(problems)


def look_at_box(names: UnitNames, consul: ConsulClient) -> BoxLook:
    """One box, in two requests."""
    entry, held = consul.read(names.box_report), consul.read(EnrollmentNames(names.fleet).binding(names.key))
    report = binding = None
    if held:
        with suppress(EnrollError):  # `riti status` of the fleet, and the controller, say so
            binding = read_binding(held.value)
    if entry:
        try:
            report = read_report(entry.value)
        except ValidationError:
            report = Report(why="what it says of itself cannot be read")
    return BoxLook(names.key, binding, report)


def read_report(value: bytes) -> Report:
    """ValidationError where it is none."""
    return Report.model_validate_json(value)


def list_box_rows(boxes: tuple[BoxLook, ...], all_of_them: bool) -> Iterator[tuple[str, ...]]:
    """(box, state, version, link, configuration in force, commit, why): those that are not as wished, or all."""
    for box in boxes:
        if all_of_them or box.grade != "well":
            report = box.report or Report()
            in_force = report.in_force[:HASH_SHOWN] or "none"
            cells = (box.key, box.state, report.version, report.link, in_force, report.commit[:HASH_SHOWN])
            yield (*cells, box.why[:MOST_WORDS])


def describe_box_rows(box: BoxLook) -> Mapping[str, object]:
    """What is found of one box, by name, for people."""
    report = box.report
    said = report.model_dump(exclude={"refused", "why", "update"}) if report else {}
    found = {"box": box.state, "box_why": box.why, **{f"box_{name}": value for name, value in said.items()}}
    if report and (update := report.update):
        found["box_slot"] = f"{update.slot}, {'committed' if update.committed else 'on trial'}"
        if update.failed:
            found["box_failed_images"] = ", ".join(update.failed)
    return found
