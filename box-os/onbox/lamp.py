"""What a box shows of itself: one code, the blinks of its lamp, and words that a person can read or say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# milliseconds. A code is so many short blinks, then a long dark time: a person counts them without a clock.
ON_MS, OFF_MS, DARK_MS = 250, 350, 2000
LONG_MS = 1000
PATIENCE_S = 300.0  # what "Wait for five minutes" promises
STEADY: tuple[tuple[bool, int], ...] = ((True, LONG_MS),)


@dataclass(frozen=True)
class Seen:
    """What decides: rescue: the rescue way was asked for at this start; rescued: how often ever.

    card: the data partition has a claim; carrier, address: of the line to the Internet. agent: what the agent says of
    itself since this start, {} where nothing yet. is_tried: an update shows whether it works; went_back: the last one
    did not. silent_s: for how long Asterisk has said nothing to the agent.
    """

    rescue: bool = False
    rescued: int = 0
    data: bool = True
    card: bool = True
    carrier: bool = True
    address: bool = True
    agent: Mapping[str, Any] | None = None
    is_tried: bool = False
    went_back: bool = False
    silent_s: float = 0.0


@dataclass(frozen=True)
class Shown:
    """blinks: how many times the lamp blinks between two dark times; 0: it is steadily on."""

    code: str
    blinks: int
    words: str
    mend: str

    @property
    def pattern(self) -> tuple[tuple[bool, int], ...]:
        """(on, milliseconds) one after the other, again and again."""
        if not self.blinks:
            return STEADY
        return ((True, ON_MS), (False, OFF_MS)) * (self.blinks - 1) + ((True, ON_MS), (False, DARK_MS))


FINE = Shown("fine", 0, "All is well.", "Nothing is to be done.")
STARTING = Shown("starting", 1, "The box is starting.", "Wait for five minutes.")
NO_CABLE = Shown(
    "no-cable",
    2,
    "There is no cable to the Internet, or what it leads to is off.",
    "Look at both ends of the network cable, and whether the router has power.",
)
NO_ADDRESS = Shown(
    "no-address",
    3,
    "The router does not give the box an address.",
    "Switch the router off and on again, and wait for five minutes.",
)
NO_GATEWAY = Shown(
    "no-gateway",
    4,
    "The box reaches the router, and not the telephone system.",
    "Look whether other devices at the same router reach the Internet.",
)
WAITING = Shown(
    "waiting", 5, "The box waits to be let in.", "Tell the telephone system's people that it is plugged in."
)
CARD = Shown(
    "card",
    6,
    "The card is not accepted, or is for another box.",
    "The telephone system's people must send a new card.",
)
LOCKED = Shown(
    "locked",
    7,
    "There is a second box with the same card: both are locked.",
    "Tell the telephone system's people at once.",
)
TROUBLE = Shown(
    "trouble",
    8,
    "Something in the box does not work.",
    "Pull its power, wait for ten seconds, plug it in again; then tell what this page says.",
)
LINK = Shown(
    "link",
    9,
    "The telephone system's link is down: calls go the other ways there are.",
    "Telephones go on working. If it lasts for an hour, tell the telephone system's people.",
)
TRIED = Shown("tried", 1, "A new version shows whether it works.", "Wait for five minutes.")
RESCUE = Shown(
    "rescue",
    10,
    "The box was started in the rescue way, and takes no part in the telephone system.",
    "Pull its power and plug it in again to have it work.",
)

_BY_STATE: Mapping[str, Shown] = {
    "starting": STARTING,
    "asking": WAITING,
    "let-in": STARTING,
    "no-answer": NO_GATEWAY,
    "waiting": WAITING,
    "not-accepted": CARD,
    "shut-out": CARD,
    "denied": CARD,
    "expired": CARD,
    "used": LOCKED,
    "copied": LOCKED,
    "unconfigured": WAITING,
    "trouble": TROUBLE,
}


def decide(seen: Seen) -> Shown:
    """The one thing that is shown: what a person can mend comes first, the cause before what follows from it."""
    if seen.rescue:
        return RESCUE
    if not seen.data:
        return TROUBLE
    if not seen.card:
        return CARD
    agent = seen.agent or {}
    state = agent.get("state")
    # those that no cable mends
    if state in ("used", "copied", "denied", "expired", "not-accepted", "shut-out"):
        return _BY_STATE[state]
    if not seen.carrier:
        return NO_CABLE
    if not seen.address:
        return NO_ADDRESS
    if seen.is_tried:
        return TRIED
    if state != "in":
        return _BY_STATE.get(str(state), TROUBLE if state else STARTING)
    if agent.get("link") == "down":
        return LINK
    if agent.get("refused") or agent.get("why"):
        return TROUBLE
    if agent.get("link") == "unknown":
        return STARTING if seen.silent_s < PATIENCE_S else TROUBLE
    return FINE


def list_notes(seen: Seen) -> list[str]:
    """What the page says beside it."""
    notes = []
    if seen.went_back:
        notes.append("The last new version did not work, and the box went back to the one before.")
    if seen.rescued:
        times = "once" if seen.rescued == 1 else f"{seen.rescued} times"
        notes.append(f"Somebody started this box in the rescue way, {times}.")
    why = (seen.agent or {}).get("why")
    if why:
        notes.append(f"The agent says: {why}")
    return notes
