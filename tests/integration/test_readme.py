"""The README's commands, run in their order as a person would type them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from ritilib.devstack.stack import Stack

ROOT = Path(__file__).parents[2]
# A stack that runs already stands in for these, so that a test ends no stack that a person left up.
GIVEN = ("riti dev up", 'eval "$(riti dev env)"')


def read_commands() -> list[str]:
    """Every command of the README's console blocks; lines that start with > belong to the one before."""
    commands: list[str] = []
    for block in re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append(line.removeprefix("$ "))
            elif line.startswith("> "):
                commands[-1] += "\n" + line.removeprefix("> ")
    return commands


def test_the_readme_has_commands_worth_running() -> None:
    said = "\n".join(read_commands())
    for verb in ("init", "validate", "render", "propose", "pull", "bootstrap", "sync --once", "plan"):
        assert f"riti {verb}" in said


def test_the_readmes_commands_do_what_it_says(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    commands = [command for command in read_commands() if command not in GIVEN]
    assert len(commands) == len(read_commands()) - len(GIVEN)
    author = {
        f"GIT_{role}_{what}": "test@example.invalid"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    inherited = {key: os.environ[key] for key in ("HOME", "LANG") if key in os.environ}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = "set -eu\n" + "\n".join(f"echo {shlex.quote('$ ' + command)}\n{command}" for command in commands)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=inherited | author | stack.environment() | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "2 companies, 3 boxes, 3 extensions: fine" in done.stdout
    assert "0 to change, 4 as wished" in done.stdout
    assert "2 changed, 2 as wished" in done.stdout
