"""/usr/lib/riti/rescue-mark: leaves the mark of the rescue way, which opens only after that."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from onbox import machine, selector

MARKS = Path("/data/rescued")


def mark() -> int:
    """Rename the file that asked for it, on the card itself, and keep a line on the data partition; how often it was
    gone. selector.Unreadable where nothing asks: then nobody is let in."""
    image = machine.read_selector()
    asked = selector.find_asked(image)
    if asked is None:
        raise selector.Unreadable("nothing on the card asks for the rescue way")
    offset, sector = selector.mark_entry(image, asked)
    machine.write_sector(offset, sector)
    count = selector.count_marks(machine.read_selector())
    # the data partition may be what is broken; the mark on the selector is there already
    with suppress(OSError):
        if MARKS.parent.is_mount():
            machine.write_durable(MARKS, f"{count}\n")
    return count


def main() -> None:
    """0: marked; 1: not."""
    try:
        print(f"the rescue way is open, for the {mark()}. time", flush=True)
    except (selector.Unreadable, OSError) as error:
        print(f"rescue: {error}", file=sys.stderr)
        sys.exit(1)
