"""What a rotation stands on: how Asterisk reads two secrets of one link, and that a reload leaves calls alone."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from ritilib.clients.docker import Docker
from ritilib.devstack.processes import poll
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.console import ask_console
from ritilib.errors import DevstackError
from ritilib.render.asterisk_conf import CONFIG_FOLDER, SCRATCH_FOLDERS, write_modules, write_pbx_files
from ritilib.render.modules import PBX_MODULES
from ritilib.render.names import join_secrets
from tests.integration.namespaces import connect_tcp

DEADLINE_S = 60.0
LABEL = "riti-test-secrets"
ADDRESSES = {"one": "127.0.0.2", "two": "127.0.0.3"}
# an interface to place calls by; the images have none
MANAGER = """\
[general]
enabled=yes
bindaddr={address}
port=5038

[test]
secret=test
write=originate
"""
CALL = "Action: Login\r\nUsername: test\r\nSecret: test\r\nEvents: off\r\n\r\n" + (
    "Action: Originate\r\nChannel: IAX2/{other}/1\r\nContext: calls\r\nExten: 1\r\nPriority: 1\r\n\r\n"
)
PLAN = "[calls]\nexten => 1,1,Answer()\n same => n,Playtones(1000)\n same => n,Wait(300)\n"
LINKS = """\
[{other}-secret](!)
secret={secrets}

[{other}]({other}-secret)
type=friend
username={own}
host={address}
context=calls
disallow=all
allow=alaw
auth=md5
deny=0.0.0.0/0.0.0.0
permit={address}/255.255.255.255
requirecalltoken=yes
qualify=500
"""


@dataclass
class Pair:
    """Two Asterisks with one link, at loopback addresses of one network namespace."""

    docker: Docker
    folder: Path
    name: str = field(default_factory=lambda: f"{LABEL}-{uuid.uuid4().hex[:8]}")

    def start(self) -> None:
        self.docker.run("riti/pause:dev", self.name, network_mode="none", labels={"riti.dev": LABEL})
        for own in ADDRESSES:
            self.give(own, ["old"], reload=False)
            self.docker.run(
                "riti/pbx:dev",
                f"{self.name}-{own}",
                ["-f", "-C", f"{CONFIG_FOLDER}/asterisk.conf"],
                entrypoint=["/usr/sbin/asterisk"],
                network_mode=f"container:{self.name}",
                tmpfs=dict.fromkeys(SCRATCH_FOLDERS, "mode=1777,size=16m"),
                volumes={
                    str(self.folder / own / "etc"): {"bind": CONFIG_FOLDER, "mode": "ro"},
                    str(self.folder / own / "secrets"): {"bind": "/secrets", "mode": "ro"},
                },
                labels={"riti.dev": LABEL},
            )
        for own in ADDRESSES:
            assert poll(partial(self.is_linked, own), DEADLINE_S)

    def give(self, own: str, secrets: Sequence[str], reload: bool = True) -> None:
        """The secrets of its link, the one to call by last."""
        [other] = set(ADDRESSES) - {own}
        etc = write_pbx_files(ADDRESSES[own]) | {
            "extensions.conf": PLAN,
            "manager.conf": MANAGER.format(address=ADDRESSES[own]),
            "modules.conf": write_modules(PBX_MODULES),
        }
        link = LINKS.format(own=own, other=other, address=ADDRESSES[other], secrets=join_secrets(secrets))
        for folder, files in (("etc", etc), ("secrets", {"iax.conf": link})):
            place = self.folder / own / folder
            place.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (place / name).write_text(text)
        if reload:
            self.ask(own, "iax2 reload")

    def is_linked(self, own: str) -> bool:
        return " OK (" in self.ask(own, "iax2 show peers")

    def ask(self, own: str, command: str) -> str:
        pid = self.docker.inspect(f"{self.name}-{own}")["State"]["Pid"]
        try:
            return ask_console(pid, command)
        except DevstackError:
            return ""  # it is not there yet

    def is_let_in(self, own: str) -> bool:
        """Whether a call of this one gets through to the other."""
        [other] = set(ADDRESSES) - {own}
        pid = self.docker.inspect(f"{self.name}-{own}")["State"]["Pid"]
        said = b""
        with connect_tcp(pid, ADDRESSES[own], 5038, DEADLINE_S) as manager:
            manager.sendall(CALL.format(other=other).encode())
            while said.count(b"\r\n\r\n") < 2:
                part = manager.recv(4096)
                assert part, said
                said += part
        assert b"Authentication accepted" in said
        return b"Originate successfully queued" in said  # that is: it was answered

    def count_calls(self, own: str) -> int:
        found = re.search(r"^(\d+) active channel", self.ask(own, "core show channels"), re.MULTILINE)
        return int(found[1]) if found else 0

    def stop(self) -> None:
        for own in ADDRESSES:
            self.docker.remove(f"{self.name}-{own}")
        self.docker.remove(self.name)


@pytest.fixture
def pair(stack: Stack, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(Docker(stack.docker_host), tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_a_call_is_let_in_by_any_secret_and_placed_by_the_last(pair: Pair) -> None:
    assert pair.is_let_in("one")
    for secrets, theirs, gets_through in (
        (["new", "old"], ["old"], True),
        (["old", "new"], ["old"], False),
        (["old", "new"], ["old", "new"], True),
        (["old", "new"], ["new", "old"], True),
        (["new", "old"], ["new"], False),
        (["new"], ["new", "old"], True),
        (["new"], ["old", "new"], True),
        (["old"], ["new"], False),
    ):
        pair.give("one", secrets)
        pair.give("two", theirs)
        assert pair.is_let_in("one") == gets_through, (secrets, theirs)
    # and none of these reloads ended a call that was up
    assert pair.count_calls("two") == 6 == pair.count_calls("one")
