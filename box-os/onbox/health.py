"""Whether a slot that is tried works: as much as worked in the slot before, and the least that any box needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

# An update has to show itself in this time; then the box goes back. Short of the five minutes that a way back may take.
BOUND_S = 240
# One that ends again and again is seen running at some moments, and is started again within seconds of each end.
STEADY_S = 20.0


@dataclass(frozen=True)
class Health:
    """started: systemd has nothing left to start; root_verified: dm-verity looks at the root; data: the data partition
    is there; failed: units that ended badly; agent: whether it runs, and goes on; state: how far the box is in
    ("" where it says nothing); link: of the telephones' way to the cloud, as the watcher says; phones: whether one
    could register (onbox.registration)."""

    started: bool
    root_verified: bool
    data: bool
    failed: tuple[str, ...] = ()
    agent: bool = False
    state: str = ""
    link: str = ""
    phones: bool = False

    def reach(self) -> dict[str, Any]:
        """What the next slot must reach too, as it is kept."""
        is_in, link_up = self.state == "in", self.link == "up"
        return {
            "agent": self.agent,
            "is_in": is_in,
            "link_up": link_up,
            "phones": self.phones,
            "failed": list(self.failed),
        }


def find_lacks(now: Health, wanted: Mapping[str, Any]) -> list[str]:
    """What is missing, in words; none: it is healthy.

    The agent, the enrollment, the link and the telephones count only where they were there before, and a unit that
    failed before too is no reason: an office without a line, or a box that waits for its approval, must get its updates
    as well.
    """
    lacks = [] if now.started else ["it is still starting"]
    if not now.root_verified:
        lacks.append("the root is not verified")
    if not now.data:
        lacks.append("the data partition is not there")
    lacks += [f"{unit} has failed" for unit in now.failed if unit not in wanted.get("failed", ())]
    if wanted.get("agent") and not now.agent:
        lacks.append("the agent does not run")
    if wanted.get("is_in") and now.state != "in":
        lacks.append("the box is not in")
    if wanted.get("link_up") and now.link != "up":
        lacks.append("the link is not up")
    if wanted.get("phones") and not now.phones:
        lacks.append("no telephone can register")
    return lacks


def is_steady(properties: str, now_s: float) -> bool:
    """Whether a unit has run for STEADY_S. properties: its ActiveState and ActiveEnterTimestampMonotonic, as `systemctl
    show` writes them; now_s: the same clock's seconds."""
    said = dict(line.split("=", 1) for line in properties.splitlines() if "=" in line)
    since = said.get("ActiveEnterTimestampMonotonic", "")
    if said.get("ActiveState") != "active" or not since.isdigit():
        return False
    return now_s - int(since) / 1e6 >= STEADY_S


def judge(lacks: Sequence[str], waited_s: float) -> Literal["commit", "wait", "back"]:
    """What is to be done with a slot that is tried, so many seconds after power on."""
    if not lacks:
        return "commit"
    return "wait" if waited_s < BOUND_S else "back"
