"""What is left out of the wheels is never imported by what runs on a box."""

from __future__ import annotations

import subprocess
import sys

from boxos.wheels import NEVER_IMPORTED, NOT_THE_BOXS

_REFUSE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        place = name.replace(".", "/")
        for left_out in sys.argv[1:]:
            if (place + "/").startswith(left_out) or place.startswith(left_out):
                raise ImportError(f"{name} is not in the image")

sys.meta_path.insert(0, Refuse())
import importlib
for name in ("cli.main", "cli.join", "cli.box_agent", "box.agent", "box.join", "box.aside"):
    importlib.import_module(f"ritilib.{name}")
try:
    importlib.import_module("pygments.lexers")
except ImportError as error:
    print(error)
"""


def test_what_runs_on_a_box_is_imported_without_what_is_left_out() -> None:
    left_out = [*NEVER_IMPORTED, *(f"ritilib/{name}/" for name in NOT_THE_BOXS)]
    done = subprocess.run(
        [sys.executable, "-c", _REFUSE, *left_out], capture_output=True, text=True, check=False
    )
    # the last line shows that what is left out was refused indeed
    assert (done.stdout, done.stderr) == ("pygments is not in the image\n", "")
