"""The small world of `removing`, in which a merge replaces PBXes: their calls, and whether they take up a wish."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from ritilib.fleet.fleet_file import Rollout
from ritilib.gitops.desired import Desired
from ritilib.reconcile.restarts import Restarts
from ritilib.reconcile.state import Record, read_record
from ritilib.render.names import OPEN_DOOR
from ritilib.render.rules import Windows
from ritilib.sync.once import sync_once
from ritilib.sync.synced import Synced
from tests.fakes.nomad import FAILING
from tests.unit import removing
from tests.unit.removing import name

BOXES = ("acme/a", "acme/b", "acme/c", "zorro/d", "zorro/e")


def make_desired(
    commit: str,
    image: str,
    bad: Collection[str] = (),
    canaries: Collection[str] = (),
    windows: Mapping[str, Windows] | None = None,
    boxes: Collection[str] = BOXES,
) -> Desired:
    """A commit whose PBXes run that image; those that are bad do not come up with it."""
    made = removing.make_desired(commit, boxes)
    units = []
    for unit in made.units:
        files = dict(unit.files)
        said = f"{image} {FAILING}" if unit.key in bad else image
        files["pbx/job.nomad.hcl"] = files["pbx/job.nomad.hcl"].replace(
            'task "pbx" {', f'task "pbx" {{ # {said}'
        )
        files["pbx/live/extensions.conf"] = f"; {unit.key} {image}\n{OPEN_DOOR}"
        windows_of = (windows or {}).get(unit.key)
        units.append(replace(unit, files=files, canary=unit.key in canaries, windows=windows_of))
    return replace(made, units=tuple(units), rollout=Rollout(canaries=1, share_percent=50, pause_min=10))


@dataclass
class World(removing.World):
    """busy: what the cycle before found with calls; restarts: what it knows to replace a task."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.busy: frozenset[str] = frozenset()
        self.restarts: Restarts = {}

    def sync(self, desired: Desired, floor: int = 0, *at_once: str, wait: bool = True) -> Synced:
        done = sync_once(
            desired,
            self.servers,
            at_once,
            lambda _line: None,
            wait,
            newest=lambda known: known,
            clock=lambda: self.now,
            floor=floor,
            busy=self.busy,
            restarts=self.restarts,
        )
        self.busy, self.restarts = done.busy, done.restarts
        return done

    def read_image(self, key: str) -> str:
        """The image of the job that runs."""
        text = str(self.nomad.jobs[name(key).job_id]["TaskGroups"][0]["Text"])
        return text.partition("# ")[2].split()[0]

    def read_record(self, key: str) -> Record:
        entry = self.consul.entries[f"riti/demo/inventory/{key}"]
        return read_record(entry.key, entry.value)

    def list_images(self) -> dict[str, str]:
        return {key: self.read_image(key) for key in BOXES}
