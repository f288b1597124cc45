"""A swap that is killed (SIGKILL) at its n-th fsync, for tests/unit/test_box_swap.py.

Arguments: the folder, the value's file, the secrets' file, n. It ends with 0 where there is no n-th one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from ritilib.box.live import compose_configuration, understand_live
from ritilib.box.swap import Generations, Refusal


def main(folder: str, value: str, secrets: str, last: int) -> None:
    whole, count = os.fsync, 0

    def sync_or_die(handle: int) -> None:
        nonlocal count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
        whole(handle)

    os.fsync = sync_or_die  # type: ignore[assignment]
    generations = Generations(Path(folder))
    generations.recover()
    live = understand_live(Path(value).read_bytes())
    made = compose_configuration(live, json.loads(Path(secrets).read_text()), live.secrets_version)
    generations.stage(made)
    generations.switch(made.identity)
    generations.confirm()
    generations.refuse(Refusal("another", "for the sake of its fsync", 0))


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
