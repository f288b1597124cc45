"""/usr/lib/riti/status: looks at the box every few seconds, blinks its lamp, and leaves what it found for the page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from onbox import lamp, machine, rescue, selector, update
from onbox.slots import Slots

SAID = Path("/run/riti-status/status.json")
# a Pi's green lamp; the kernels that a box may have call it by either name
LAMPS = (Path("/sys/class/leds/ACT"), Path("/sys/class/leds/led0"))
WAN = Path("/sys/class/net/wan")
CARD = Path("/data/card/claim.jwt")
RESCUE = Path("/run/riti-rescue")  # the initrd's, where the card asked for it
_LOOK_S = 3.0


def look() -> lamp.Seen:
    """What there is to be seen now; what cannot be read counts as absent."""
    rescued = 0
    is_tried = went_back = False
    with suppress(OSError, selector.Unreadable, ValueError):
        rescued = selector.count_marks(machine.read_selector())
    with suppress(OSError, ValueError):
        # the selector can be changed on any computer; this one is on a partition that most do not read
        rescued = max(rescued, int(rescue.MARKS.read_text()))
    with suppress(OSError, selector.Unreadable, ValueError):
        slots = machine.read_slots()
        is_tried = slots.is_unproved
        went_back = bool(_list_given_up(slots))
    return lamp.Seen(
        rescue=RESCUE.exists(),
        rescued=rescued,
        data=Path("/data").is_mount(),
        card=CARD.is_file(),
        carrier=_read(WAN / "carrier") == "1",
        address=_has_address(),
        agent=machine.read_agent(),
        is_tried=is_tried,
        went_back=went_back,
    )


def describe(seen: lamp.Seen, shown: lamp.Shown) -> Mapping[str, Any]:
    """What the page reads. It holds no secret: whoever is in the office's network may read it."""
    agent = seen.agent or {}
    release = update.read_release()
    return describe_slots() | {
        "version": release.get("IMAGE_VERSION", ""),
        "code": shown.code,
        "blinks": shown.blinks,
        "words": shown.words,
        "mend": shown.mend,
        "notes": lamp.list_notes(seen),
        "rescued": seen.rescued,
        "image": f"{release.get('IMAGE_ID', '')} {release.get('IMAGE_VERSION', '')}".strip(),
        "serial": str(agent.get("serial", "")),
        "state": str(agent.get("state", "")),
        "link": str(agent.get("link", "")),
    }


def describe_slots() -> dict[str, Any]:
    """slot: the one that runs; committed: whether the next start takes it. installed: the version that waits for its
    try; failed: the one that was tried last and went back ("": there is none), and why, where it could tell."""
    try:
        slots = machine.read_slots()
    except (OSError, selector.Unreadable, ValueError):
        return {}
    versions = update.read_installed()
    failed = [versions.get(slot, "") for slot in _list_given_up(slots)]
    return {
        "slot": slots.booted,
        "committed": not slots.is_unproved,
        "installed": versions.get(slots.record.to_try, ""),
        "failed": failed[0] if failed else "",
        "failed_why": _read(machine.GIVEN_UP) if failed else "",
    }


def _list_given_up(slots: Slots) -> list[str]:
    """The slot that was tried and is not what runs; nothing while the machine is on its way to try it."""
    if slots.is_unproved or machine.RESTARTING.exists():
        return []
    return [
        slot for slot, mark in (slots.record.marks or {}).items() if mark == "tried" and slot != slots.booted
    ]


def run() -> None:
    """For ever."""
    found = next((one for one in LAMPS if one.is_dir()), None)
    if found:
        (found / "trigger").write_text("none\n")
        full = _read(found / "max_brightness") or "1"
    before: Mapping[str, Any] = {}
    has_answered = False
    heard_s = time.monotonic()
    while True:
        began_s = time.monotonic()
        seen = look()
        if (seen.agent or {}).get("link") != "unknown":
            heard_s = began_s
        seen = replace(seen, silent_s=began_s - heard_s)
        shown = lamp.decide(seen)
        said = describe(seen, shown)
        if said != before:
            machine.show(SAID, said)
            print(f"RITI status {shown.code}: {shown.words}", flush=True)
            before = said
        if not has_answered and (state := (seen.agent or {}).get("state")):
            key = machine.read_json(machine.ENROLLMENT).get("key", "")
            print(f"RITI agent answers: {state} key={key}", flush=True)
            has_answered = True
        while time.monotonic() - began_s < _LOOK_S:
            for is_on, milliseconds in shown.pattern:
                if found:
                    (found / "brightness").write_text(full if is_on else "0")
                time.sleep(milliseconds / 1000)


def _has_address() -> bool:
    # a default route by this line: with none, the router gave nothing that leads anywhere
    with suppress(OSError):
        for line in Path("/proc/net/route").read_text().splitlines()[1:]:
            name, destination = line.split()[:2]
            if name == WAN.name and destination == "00000000":
                return True
        for line in Path("/proc/net/ipv6_route").read_text().splitlines():
            words = line.split()
            if words[-1] == WAN.name and words[0] == "0" * 32 and words[1] == "00" and words[4] != "0" * 32:
                return True
    return False


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def main() -> None:
    """Until ended."""
    run()
