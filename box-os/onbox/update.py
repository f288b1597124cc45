"""/usr/lib/riti/update: installs what the agent asks for into the slot that does not run, beside running calls.

Started when the agent's wish is there (riti-update.path). It restarts nothing: that is riti-restart's, with no call up.
"""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from onbox import machine
from onbox.selector import Unreadable
from onbox.wish import NoWish, Wish, read_wish, take_file

ASKED = Path("/run/riti/update.json")  # the agent's own folder
SAID = Path("/run/riti-update/said.json")
CA = Path("/run/riti-update/ca.pem")
RELEASE = Path("/etc/os-release")
STATUS = Path("/data/rauc/status")  # RAUC's own
# RAUC's words for what no second try mends (boxos/update.py has the same for its proofs); whatever else went wrong, a
# line that broke or a server that is away, may be another time.
FINAL = ("signature", "compatible mismatch", "version mismatch")
_PERCENT = re.compile(r"\s*([0-9]{1,3})% ")
_SLOTS = {"slot.root.0": "A", "slot.root.1": "B"}  # boxos.manifest.write_system
_LONGEST = 300


def read_versions(text: str) -> dict[str, str]:
    """Slot → the version that RAUC installed into it; one that was flashed is in none of its records."""
    parser = configparser.RawConfigParser(strict=False)
    with suppress(configparser.Error):
        parser.read_string(text)
    return {
        slot: parser.get(name, "bundle.version")
        for name, slot in _SLOTS.items()
        if parser.has_option(name, "bundle.version")
    }


def is_final(words: str) -> bool:
    """Whether what RAUC said means that this bundle is never taken."""
    return any(word in words.lower() for word in FINAL)


def follow(lines: Iterator[str]) -> Iterator[tuple[int | None, str]]:
    """(percent, error) as RAUC's client tells them, one line each; whatever else it says is passed over."""
    for line in lines:
        if found := _PERCENT.match(line):
            yield min(int(found[1]), 100), ""
        elif "LastError:" in line:
            yield None, line.partition("LastError:")[2].strip()
        elif "failed" in line.lower() and "Installing `" not in line:
            yield None, line.strip()


def install(wish: Wish, image: str) -> Mapping[str, Any]:
    """Have RAUC install it; what came of it."""
    argv = ["rauc", "install"]
    if wish.ca:
        CA.write_text(wish.ca)
        CA.chmod(0o644)  # RAUC's reader of bundles is nobody
        argv.append(f"--tls-ca={CA}")
    argv.append(wish.name_bundle(image))
    why = ""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout
        for percent, error in follow(iter(running.stdout.readline, "")):
            why = error or why
            if percent is not None:
                say({"version": wish.version, "state": "installing", "percent": percent})
    if running.returncode != 0:
        why = why or f"rauc ends with {running.returncode}"
        return _fail(wish, why, is_final(why))
    slots = machine.read_slots()
    installed = read_installed().get(slots.record.to_try, "")
    if installed != wish.version:
        # a file of another name, or one that was exchanged: what was not asked for is not tried
        subprocess.run(["/usr/lib/riti/slot", "set-primary", slots.booted], check=True)
        return _fail(wish, f"the bundle holds version {installed or 'none'}", True)
    return {"version": wish.version, "state": "installed"}


def read_installed() -> dict[str, str]:
    """read_versions of this box."""
    try:
        return read_versions(STATUS.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def say(words: Mapping[str, Any]) -> None:
    """For the agent, which may read it and no more."""
    machine.show(SAID, words)


def read_release(file: Path = RELEASE) -> dict[str, str]:
    """What /etc/os-release says."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines) if value}


def _fail(wish: Wish, why: str, final: bool) -> Mapping[str, Any]:
    return {"version": wish.version, "state": "failed", "why": why[:_LONGEST], "final": final}


def main() -> None:
    """0: it was tried, and what came of it is said; 1: there was nothing to try."""
    try:
        wish = read_wish(take_file(ASKED))
        if machine.RESTARTING.exists():
            raise NoWish("the machine is on its way into the slot that would be written")
        if machine.read_slots().is_unproved:
            raise NoWish("what runs is on trial, and the slot that would be written is the way back")
        print(f"RITI update: {wish.version} is installed beside what runs", flush=True)
        say({"version": wish.version, "state": "installing"})
        said = install(wish, read_release().get("IMAGE_ID", ""))
        say(said)
        print(f"RITI update: {wish.version}: {said['state']} {said.get('why', '')}".rstrip(), flush=True)
    except (NoWish, Unreadable, OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"update: {error}", file=sys.stderr)
        with suppress(OSError):
            say({"version": "", "state": "failed", "why": str(error)[:_LONGEST], "final": False})
        sys.exit(1)
