"""A box without Docker: the real Asterisk of the box's image and the real watcher, in a network of their own.

Whoever ends is started again, as systemd or Docker would.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
from contextlib import suppress
from pathlib import Path

from ritilib.box.candidate import Program, find_program
from ritilib.box.console import ask_socket
from ritilib.box.start import FOLLOWED
from ritilib.box.word import SILENT, Word, understand_word
from ritilib.devstack.images import asterisk
from ritilib.devstack.images.archive import write_tar
from ritilib.devstack.images.debian import unpack_asterisk
from ritilib.render.asterisk_conf import CONFIG_FOLDER, MANAGER_SECRET, SCRATCH_FOLDERS
from ritilib.render.modules import BOX_MODULES
from tests.golden.update import render_case

ADDRESS = "100.80.0.2"
KEY = "acme/montevideo"
SECRETS = {"iax": {"cloud": "f0r-cl0ud", "box-salto": "f0r-salt0"}, "phones": {"101": "pw-of-101"}}
CALLING = "res_clioriginate"  # the console's way to place a call; a box has none
LONG_CALL = "\n[test]\nexten => 777,1,Answer()\nsame => n,Wait(600)\n"


def unpack_root(cache: Path, folder: Path) -> Path:
    """The root file system of the box's image, without its words."""
    tree = unpack_asterisk(cache / "images", print)
    tar = folder / "root.tar"
    write_tar(asterisk.list_root(tree, (*BOX_MODULES, CALLING)), tar)
    with tarfile.open(tar) as archive:
        archive.extractall(folder / "root", filter="fully_trusted")
    tar.unlink()
    return folder / "root"


class BoxAlone:
    """folder holds all of it; watcher is the program. The value's files are those of a rendered box, in its folders."""

    def __init__(self, folder: Path, root: Path, watcher: Path) -> None:
        self.folder, self.root, self.watcher = folder, root, watcher
        self.configuration = folder / "data" / "configuration"
        self.run_folder = folder / "var-run-asterisk"
        self.starts = 0
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep_running)
        for place in SCRATCH_FOLDERS:
            (folder / place.strip("/").replace("/", "-")).mkdir(parents=True)

    @property
    def program(self) -> Program:
        return find_program(self.root)

    @property
    def state(self) -> Path:
        return self.run_folder / "watcher.json"

    def render(self, **changed: str) -> dict[str, str]:
        """The files of a live value; changed are texts that are added to the end of etc/<name>.conf."""
        tree = render_case("two-companies")
        folder = f"rendered/{KEY}/box/"
        files = {
            path.removeprefix(folder): text
            for path, text in tree.items()
            if path.startswith(folder) and not path.endswith(("secrets.json", ".hcl"))
        }
        moved = {CONFIG_FOLDER: str(self.configuration / "asterisk")}
        moved |= {place: str(self.folder / place.strip("/").replace("/", "-")) for place in SCRATCH_FOLDERS}
        text = files["etc/asterisk.conf"]
        for place, own in moved.items():
            text = re.sub(rf"=> {re.escape(place)}$", f"=> {own}", text, flags=re.MULTILINE)
        files["etc/asterisk.conf"] = re.sub(r"=> (/usr/\S+)$", rf"=> {self.root}\1", text, flags=re.MULTILINE)
        secret = f"{self.run_folder}/manager.secret"
        files["etc/manager.conf"] = files["etc/manager.conf"].replace(MANAGER_SECRET, secret)
        files["etc/extensions.conf"] += LONG_CALL
        files["etc/modules.conf"] += f"load = {CALLING}.so\n"
        for name, more in changed.items():
            files[f"etc/{name}.conf"] += more
        return files

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self.kill()
            self._thread.join()

    def kill(self) -> None:
        """As when the power goes, for Asterisk and its watcher."""
        process = self._process
        if process:
            # the keeper left its session, and is found by the folder it was started for
            for pid in [process.pid, *self._find_watchers()]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def read_word(self) -> Word:
        try:
            return understand_word(self.state.read_bytes(), 0.0)
        except OSError:
            return SILENT

    def ask(self, command: str) -> str:
        return ask_socket(self.run_folder / "asterisk.ctl", command)

    def call(self) -> None:
        """A call that stays up for ten minutes."""
        self.ask("channel originate Local/777@test application Wait 600")

    def count_channels(self) -> int:
        found = re.search(r"^(\d+) active channel", self.ask("core show channels count"), re.MULTILINE)
        assert found
        return int(found[1])

    def _find_watchers(self) -> list[int]:
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (place / "cmdline").read_bytes().split(b"\0")
                if words[0] == str(self.watcher).encode() and str(self.state).encode() in words:
                    found.append(int(place.name))
        return found

    def _keep_running(self) -> None:
        etc = self.configuration / "asterisk"
        options = {
            "--secret": self.run_folder / "manager.secret",
            "--console": self.run_folder / "asterisk.ctl",
            "--state": self.state,
            "--serve": self.run_folder / "watcher.sock",
            "--started": self.run_folder / "started",
            "--words": self.folder / "words",
            "--anew": etc / "start.txt",
            "--bound": etc / "iax.conf",
            "--interface": "lo",
            "--peer": "cloud",
        }
        words = [str(word) for pair in options.items() for word in pair]
        words += [str(word) for name in FOLLOWED for word in ("--config", etc / name)]
        argv = [sys.executable, "-m", "ritilib.box.aside", ADDRESS, "--"]
        argv += [str(self.watcher), "start", "--await", *words, "--"]
        argv += [*self.program.argv, "-f", "-C", f"{etc}/asterisk.conf"]
        with (self.folder / "asterisk.log").open("ab") as log:
            while not self._stopped.is_set():
                (self.run_folder / "asterisk.ctl").unlink(missing_ok=True)
                self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                self.starts += 1
                self._process.wait()
                # a service's other processes end with it
                for pid in self._find_watchers():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
