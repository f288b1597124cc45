"""An office of the lab: a network of its own, in it the box, and the overlay in the same namespace."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ritilib.box.compose import compose_box
from ritilib.box.live import hash_rendered
from ritilib.box.loaded import find_missing
from ritilib.box.word import understand_word
from ritilib.clients.docker import Docker
from ritilib.devstack.processes import poll
from ritilib.devstack.telephony.office_files import (
    RELOADS,
    OverlayIdentity,
    find_reloads,
    find_secrets_folder,
    remove_secrets,
    write_box_folder,
    write_overlay_folder,
)
from ritilib.errors import DevstackError, Problem, ServerError
from ritilib.render.asterisk_conf import CONFIG_FOLDER, SCRATCH_FOLDERS

BOX_USER = 10001
READY_S = 60.0
RELOAD_S = 30.0
GATE_S = 60
WATCHER_STATE = "/var/run/asterisk/watcher.json"  # jobs/pbx/watcher/main.go
LOG_LINES_SHOWN = 15
_SCRATCH = f"size=16m,mode=0700,uid={BOX_USER},gid={BOX_USER}"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Images:
    """The images of an office. pause holds the network namespace: no other container's end takes it away."""

    pause: str = "riti/pause:dev"
    overlay: str = "riti/overlay:dev"
    box: str = "riti/box:dev"


@dataclass
class Office:
    """A running office.

    address is the box's in the office's network (where telephones register), gateway the host's there (where
    the lab binds its telephones); pid is a process in the box's network namespace.
    """

    name: str
    label: str
    folder: Path
    docker: Docker
    report: Callable[[str], None]
    files: dict[str, str]
    address: str = ""
    gateway: str = ""
    pid: int = 0

    @property
    def prefix(self) -> str:
        return f"{self.label}-{self.name}"

    @property
    def box(self) -> str:
        """The name of the box's container."""
        return f"{self.prefix}-box"

    @property
    def labels(self) -> dict[str, str]:
        return {"riti.dev": self.label, "riti.office": self.name}

    @property
    def peer_address(self) -> str:
        """The overlay address of the box's own PBX, as its configuration has it."""
        return find_peer_address(self.name, self.files.get("iax.conf", ""))

    def asterisk(self, command: str) -> str:
        """What the box's Asterisk answers to a command of its console."""
        return ask_console(self.docker, self.name, self.box, command)

    def apply(
        self, rendered: Mapping[str, str], secrets: Mapping[str, Any], version: int = 0, generation: int = 0
    ) -> tuple[str, ...]:
        """Give the box new files and secrets; only what changed is reloaded, no call is dropped.

        version is that of the box's document, generation that of its PBX (compose_box).
        Returns the reload commands, () when nothing changed. Raises GitopsError for a missing secret and
        DevstackError for a file that Asterisk reads at its start only, both before anything is written.
        """
        files = compose_box(rendered, secrets, version, generation)
        reloads = find_reloads(self.files, files)
        write_box_folder(self._secrets / "asterisk", files, self.files, BOX_USER)
        self.files = files
        for command in reloads:
            self.report(f"office {self.name}: {command}")
            if command == RELOADS["iax.conf"]:
                # the box's watcher does this one. Two at once end Asterisk (22.10.1): it lets go of a peer twice
                what = f"the box of {self.name} has taken over its peers"
                wait_until(lambda: self._has_peers(rendered["etc/iax.conf"], version), RELOAD_S, what)
            else:
                self.asterisk(command)
        if reloads:
            wait_until(
                lambda: not self.find_missing(),
                RELOAD_S,
                f"the box of {self.name} has its peers and telephones",
            )
        return reloads

    def _has_peers(self, rendered: str, version: int) -> bool:
        """Whether the watcher says that this file is in force with these secrets, and the PBX is where it is now."""
        word = understand_word(self.read_word(), 0.0)
        cloud = rf"^cloud\S* +{re.escape(self.peer_address)} "
        return (
            word.acknowledged.get("iax.conf") == hash_rendered(rendered)
            and word.secrets_version == version
            and re.search(cloud, self.asterisk("iax2 show peers"), re.MULTILINE) is not None
        )

    def read_word(self) -> bytes:
        """What the box's watcher says: its state, as an agent passes it on (UnitNames.box_word). Needs root."""
        pid = self.docker.inspect(self.box)["State"]["Pid"]
        try:
            return Path(f"/proc/{pid}/root{WATCHER_STATE}").read_bytes()
        except OSError as error:
            raise DevstackError.because(
                f"the watcher of {self.name} says nothing: {error}", "see the box's log"
            ) from error

    def find_missing(self) -> tuple[str, ...]:
        """Peers, endpoints and drivers that are configured and not loaded: a reload succeeds either way."""
        return find_missing(self.files, self.asterisk)

    def wait_cloud_link(self, timeout_s: float) -> None:
        """Return when the box's own PBX answers over the overlay."""
        wait_until(
            lambda: (
                re.search(r"^cloud\b.* OK \(", self.asterisk("iax2 show peers"), re.MULTILINE) is not None
            ),
            timeout_s,
            f"the box of {self.name} is linked to its PBX",
        )

    def stop(self) -> None:
        """End and remove everything of this office; what its containers said stays in its folder."""
        for container in self.docker.list_containers(f"riti.office={self.name}"):
            if container.startswith(f"{self.prefix}-"):
                with contextlib.suppress(ServerError):
                    text = self.docker.read_log(container)
                    (self.folder / f"{container.removeprefix(self.prefix + '-')}.log").write_text(text)
                self.docker.remove(container)
        self.docker.remove_network(self.prefix)
        remove_secrets(self.label, self.name)

    @property
    def _secrets(self) -> Path:
        return find_secrets_folder(self.label, self.name)

    def _start(self, images: Images) -> None:
        self.docker.create_network(self.prefix, None, self.labels)
        pause = f"{self.prefix}-pause"
        self.docker.run(
            images.pause, pause, network=self.prefix, cap_drop=["ALL"], labels=self.labels, read_only=True
        )
        state = self.docker.inspect(pause)
        network = state["NetworkSettings"]["Networks"][self.prefix]
        self.address, self.gateway, self.pid = network["IPAddress"], network["Gateway"], state["State"]["Pid"]

    def _start_overlay(self, images: Images, address: str) -> None:
        shared = self._shared(cap_add=["NET_ADMIN"])
        folder = self._secrets / "overlay"
        overlay, gate = f"{self.prefix}-overlay", f"{self.prefix}-gate"
        self.docker.run(
            images.overlay,
            overlay,
            ["-config", "/overlay/overlay.yml"],
            entrypoint=["/nebula"],
            devices=["/dev/net/tun:/dev/net/tun:rwm"],
            volumes={str(folder): {"bind": "/overlay", "mode": "ro"}},
            **shared,
        )
        arguments = ["--address", address, "--interface", "riti", "--port", "4569", "--timeout", f"{GATE_S}s"]
        self.docker.run(images.overlay, gate, arguments, entrypoint=["/gate"], **shared)
        if self.docker.wait(gate, GATE_S + 30) != 0:
            raise self._failed("its overlay did not come up", gate, overlay)

    def _start_box(self, images: Images) -> None:
        self.docker.run(
            images.box,
            self.box,
            user=f"{BOX_USER}:{BOX_USER}",
            volumes={str(self._secrets / "asterisk"): {"bind": CONFIG_FOLDER, "mode": "ro"}},
            tmpfs=dict.fromkeys(SCRATCH_FOLDERS, _SCRATCH),
            pids_limit=200,
            **self._shared(cap_add=[]),
        )
        try:
            wait_until(self._is_booted, READY_S, f"the box of {self.name} is up")
        except DevstackError as error:
            raise self._failed(f"its box did not come up ({error.problems[0].what})", self.box) from error
        # what declined to load is no error to Asterisk: it runs on without telephones
        if missing := self.find_missing():
            raise self._failed(f"its box did not load {', '.join(missing)}", self.box)

    def _is_booted(self) -> bool:
        if self.docker.inspect(self.box)["State"]["Status"] != "running":
            raise self._failed("its box ended by itself", self.box)
        try:
            return "fully booted" in self.asterisk("core waitfullybooted")
        except (DevstackError, ServerError):
            return False  # its console is not there yet

    def _shared(self, cap_add: list[str]) -> dict[str, Any]:
        return {
            "network_mode": f"container:{self.prefix}-pause",
            "cap_drop": ["ALL"],
            "cap_add": cap_add,
            "security_opt": ["no-new-privileges"],
            "read_only": True,
            "labels": self.labels,
        }

    def _failed(self, what: str, *containers: str) -> DevstackError:
        lines: list[str] = []
        for container in containers:
            said = _COLOUR.sub("", self.docker.read_log(container)).splitlines()
            # the image's documentation is cut down on purpose; Asterisk has hundreds of lines to say about it
            lines += [line for line in said if "XML documentation" not in line][-LOG_LINES_SHOWN:]
        shown = "".join(f"\n    {line[:300]}" for line in lines)
        return DevstackError(
            [Problem("", 0, 0, f"office {self.name}: {what}{shown}", f"the logs are in {self.folder}")]
        )


def start_office(
    docker: Docker,
    name: str,
    rendered: Mapping[str, str],
    secrets: Mapping[str, Any],
    identity: OverlayIdentity | None,
    address: str,
    folder: Path,
    label: str,
    report: Callable[[str], None],
    images: Images | None = None,
    version: int = 0,
    generation: int = 0,
) -> Office:
    """Start one office and wait until its box takes calls.

    rendered: path below the box's rendered folder (etc/iax.conf, overlay.yml…) → text; secrets: the box's
    Vault document, version that document's, generation that of its PBX (compose_box). identity and address: the box's
    key and certificates in the overlay, and its address there; without an identity the office has no overlay. folder
    (made) keeps logs; what is secret lies in memory, /dev/shm. label marks containers and network as riti.dev=<label>;
    what an earlier office of the same name and label left behind is removed first.
    Raises GitopsError, ServerError or DevstackError; nothing of the office is left then.
    """
    office = Office(name, label, folder, docker, report, compose_box(rendered, secrets, version, generation))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    office.stop()
    chosen = images or Images()
    try:
        write_box_folder(find_secrets_folder(label, name) / "asterisk", office.files, {}, BOX_USER)
        office._start(chosen)
        if identity is not None:
            report(f"office {name}: joining the overlay as {address}")
            write_overlay_folder(
                find_secrets_folder(label, name) / "overlay", identity, rendered["overlay.yml"]
            )
            office._start_overlay(chosen, address)
        report(f"office {name}: starting the box's Asterisk")
        office._start_box(chosen)
    except BaseException:
        office.stop()
        raise
    return office


def find_peer_address(name: str, iax: str) -> str:
    """The overlay address of a box's own PBX, as its iax.conf has it: in [cloud], or in a template of that."""
    templates = re.search(r"^\[cloud\]\(([^)]*)\)", iax, re.MULTILINE)
    for section in ("cloud", *(templates[1].split(",") if templates else ())):
        found = re.search(rf"^\[{re.escape(section)}\][^\[]*?^host=(\S+)", iax, re.MULTILINE)
        if found:
            return found[1]
    raise DevstackError.because(f"office {name} has no [cloud] in its iax.conf", "render the fleet again")


def ask_console(docker: Docker, name: str, container: str, command: str) -> str:
    """What the Asterisk in an office's container answers to a command of its console."""
    argv = ["/usr/sbin/asterisk", "-C", f"{CONFIG_FOLDER}/asterisk.conf", "-rx", command]
    code, output = docker.execute(container, argv)
    if code != 0:
        raise DevstackError.because(
            f"the box of {name} did not answer to `{command}`: {output.strip()}", "see its log"
        )
    return output


def remove_offices(docker: Docker, label: str) -> None:
    """Remove every container and network with this label, and the offices' secrets, whoever started them."""
    for container in docker.list_containers(f"riti.dev={label}"):
        docker.remove(container)
    for network in docker.list_networks(f"riti.dev={label}"):
        docker.remove_network(network)
    shutil.rmtree(find_secrets_folder(label, ""), ignore_errors=True)


def wait_until(holds: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Return as soon as holds(); DevstackError where it is not so in time. what reads "the PBX knows 101"."""
    if not poll(holds, timeout_s):
        raise DevstackError.because(f"after {timeout_s:.0f} s it is still not so that {what}", "see the logs")
