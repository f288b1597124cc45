"""Real Nebulas in network namespaces on one wire: what each has as files is what it was told last, then SIGHUP."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from ritilib.devstack.overlay.probe import Stream
from ritilib.devstack.processes import poll
from ritilib.render.language import config_environment

WIRE = "10.98.7"
PORT = 4242
UP_S, END_S = 30.0, 10.0


@dataclass
class Node:
    """One member: address is the overlay's, place its number on the wire; knows: whom it finds by itself."""

    name: str
    place: int
    address: str
    folder: Path
    program: Path
    is_lighthouse: bool = False
    company: str = "acme"
    knows: tuple[Node, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    files: dict[str, str] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return f"riti-ca-{os.getpid()}-{self.place}"

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def give(self, files: Mapping[str, str], lighthouse: Node) -> None:
        """Have the files, and Nebula take them; it is started where it does not run. The same ones say nothing."""
        if dict(files) == self.files:
            return
        self.folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (self.folder / name).write_text(text)
        self.files = dict(files)
        if self.process:
            self.process.send_signal(signal.SIGHUP)
        else:
            self._start(lighthouse)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(END_S)
            self.process = None

    def _start(self, lighthouse: Node) -> None:
        where = SimpleNamespace(address=f"{WIRE}.{lighthouse.place}", port=PORT)
        text = (
            config_environment()
            .get_template("overlay/nebula.yml.j2")
            .render(
                name=self.name,
                secrets=str(self.folder),
                certificates=str(self.folder),
                company="" if self.is_lighthouse else self.company,
                port=PORT,
                advertise="",
                am_lighthouse=self.is_lighthouse,
                blocklist="",
                lighthouses=[] if self.is_lighthouse else [(where, lighthouse.address)],
            )
        )
        found = "".join(f'  "{one.address}": ["{WIRE}.{one.place}:{PORT}"]\n' for one in self.knows)
        text = text.replace("static_host_map:\n", f"static_host_map:\n{found}")
        (self.folder / "overlay.yml").write_text(text.replace("level: warning", "level: info"))
        argv = ["ip", "netns", "exec", self.namespace, str(self.program), "-config"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*argv, str(self.folder / "overlay.yml")], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        assert poll(self._is_up, UP_S), self.log

    def _is_up(self) -> bool:
        shown = _ip("-n", self.namespace, "address", "show", "dev", "riti", check=False)
        return self.address in shown

    def stream(self, to: Node) -> Stream:
        """Packets as densely as voice, to another and back."""
        return Stream(self.pid, to.address)


@contextmanager
def hold_wire(nodes: list[Node]) -> Iterator[None]:
    """A namespace for each, all on one bridge in another; everything is gone afterwards."""
    hub = f"riti-ca-{os.getpid()}-hub"
    names = [hub, *(one.namespace for one in nodes)]
    try:
        _ip("netns", "add", hub)
        _ip("-n", hub, "link", "add", "wire", "type", "bridge")
        _ip("-n", hub, "link", "set", "wire", "up")
        for one in nodes:
            _ip("netns", "add", one.namespace)
            far = f"far{one.place}"
            _ip("link", "add", "eth", "netns", one.namespace, "type", "veth", "peer", far, "netns", hub)
            _ip("-n", hub, "link", "set", far, "master", "wire", "up")
            _ip("-n", one.namespace, "address", "add", f"{WIRE}.{one.place}/24", "dev", "eth")
            for link in ("lo", "eth"):
                _ip("-n", one.namespace, "link", "set", link, "up")
        yield
    finally:
        for one in nodes:
            one.stop()
        for name in names:
            _ip("netns", "delete", name, check=False)


def _ip(*argv: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *argv], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, (argv, done.stderr)
    return done.stdout
