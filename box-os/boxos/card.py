"""A claim onto a card or an image: two files into its data partition, without mounting anything."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from boxos.firmware import find_spans
from boxos.layout import DATA, MEBIBYTE
from boxos.programs import run
from ritilib.errors import RitiError

FILES = ("claim.jwt", "join.json")  # what `riti box claim --out` writes
FOLDER = "card"


def put_card(disk: Path, claimed: Path) -> None:
    """The claim in folder claimed onto disk, an image or a card that was just written; one that is there is replaced.

    A card on which a box has run keeps its data partition for itself: RitiError where it has grown already.
    """
    if absent := [name for name in FILES if not (claimed / name).is_file()]:
        what = f"{claimed} has no {' and no '.join(absent)}"
        raise RitiError.because(what, "name the folder that `riti box claim --out` wrote")
    start, size = find_spans(run(["sfdisk", "--dump", disk]))[DATA]
    if size > 64 * MEBIBYTE:
        raise RitiError.because(f"a box has run on {disk} already", "write the image to the card again")
    with tempfile.TemporaryDirectory(prefix="boxos-") as name:
        data, script = Path(name) / "data", Path(name) / "script"
        with disk.open("rb") as source, data.open("wb") as target:
            source.seek(start)
            target.write(source.read(size))
        # debugfs would make a second folder of that name
        there = f"/{FOLDER}/" in run(["debugfs", "-R", "ls -p /", data])
        lines = [] if there else [f"mkdir {FOLDER}"]
        lines.append(f"cd {FOLDER}")
        for one in FILES:
            shutil.copyfile(claimed / one, Path(name) / one)
            # 0100400: a file that its owner reads; the box makes the agent its owner
            lines += [
                *([f"rm {one}"] if there else []),
                f"write {name}/{one} {one}",
                f"sif {one} mode 0100400",
            ]
        script.write_text("\n".join(lines) + "\n")
        run(["debugfs", "-w", "-f", script, data])
        run(["e2fsck", "-n", "-f", data])
        for one in FILES:
            if run(["debugfs", "-R", f"cat {FOLDER}/{one}", data]) != (claimed / one).read_text():
                raise RitiError.because(f"{one} does not lie on the card as it should", "is the card full?")
        with disk.open("r+b") as target, data.open("rb") as source:
            target.seek(start)
            shutil.copyfileobj(source, target)
