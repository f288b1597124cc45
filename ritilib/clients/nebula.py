"""The overlay's certificates, made by `nebula-cert` (Curve25519).

Private keys are never in an argument and never on a disk: they pass through anonymous memory (memfd), or,
where nebula-cert insists on making the file itself, through a folder of mode 0700 in /dev/shm.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ritilib.errors import RitiError

MEMORY = Path("/dev/shm")
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Authority:
    """A certificate authority: two PEM texts; and what members are told of it.

    bundle is all that they trust ("": crt alone), generation counts authorities, edition what was told of them; from
    since to renew_by certificates of the one before are renewed ("": no other is trusted).
    """

    crt: str
    key: str = field(repr=False)
    bundle: str = ""
    generation: int = 1
    edition: int = 1
    since: str = ""
    renew_by: str = ""

    @property
    def trusted(self) -> str:
        """The PEM of every authority that a member is to trust."""
        return self.bundle or self.crt


@dataclass(frozen=True)
class Key:
    """A host's key pair: two PEM texts."""

    private: str = field(repr=False)
    public: str


@dataclass(frozen=True)
class Certificate:
    """What a certificate says; networks are CIDR addresses such as "10.80.0.5/16"."""

    name: str
    networks: tuple[str, ...]
    groups: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    is_authority: bool
    issuer: str
    fingerprint: str


class OverlayTool:
    """`nebula-cert`, 1.10 or newer, at `program`. Methods raise RitiError with its words where it fails."""

    def __init__(self, program: Path) -> None:
        self.program = program

    def make_authority(self, name: str, hours: int) -> Authority:
        """A new self-signed authority that is valid for so many hours."""
        with tempfile.TemporaryDirectory(prefix="riti-", dir=MEMORY) as made:
            crt, key = Path(made) / "ca.crt", Path(made) / "ca.key"
            self._run(
                "ca", "-name", name, "-duration", f"{hours}h", "-out-crt", str(crt), "-out-key", str(key)
            )
            return Authority(crt=crt.read_text(), key=key.read_text())

    def make_key(self) -> Key:
        """A new host's key pair."""
        with _memory() as private, _memory() as public:
            self._run("keygen", "-out-key", _path(private), "-out-pub", _path(public), fds=(private, public))
            return Key(private=_read(private), public=_read(public))

    def sign(
        self,
        authority: Authority,
        public_key: str,
        name: str,
        network: str,
        groups: tuple[str, ...],
        hours: int,
    ) -> str:
        """A certificate (PEM) for a public key (PEM), valid for so many hours; network as "10.80.0.5/16"."""
        with (
            tempfile.TemporaryDirectory(prefix="riti-", dir=MEMORY) as made,
            _memory(authority.crt) as ca_crt,
            _memory(authority.key) as ca_key,
            _memory(public_key) as public,
        ):
            crt = Path(made) / "host.crt"  # it refuses a path that exists, so no memory file can be named
            arguments = ["-ca-crt", _path(ca_crt), "-ca-key", _path(ca_key), "-in-pub", _path(public)]
            arguments += ["-name", name, "-networks", network, "-duration", f"{hours}h", "-out-crt", str(crt)]
            if groups:
                arguments += ["-groups", ",".join(groups)]
            self._run("sign", *arguments, fds=(ca_crt, ca_key, public))
            return crt.read_text()

    def read_certificate(self, crt: str) -> Certificate:
        """What a certificate (PEM) says; its signature is not verified."""
        with _memory(crt) as file:
            printed = self._run("print", "-json", "-path", _path(file), fds=(file,))
        found = json.loads(printed)[0]
        details = found["details"]
        return Certificate(
            name=details["name"],
            networks=tuple(details["networks"] or ()),
            groups=tuple(details["groups"] or ()),
            not_before=datetime.fromisoformat(details["notBefore"]),
            not_after=datetime.fromisoformat(details["notAfter"]),
            is_authority=details["isCa"],
            issuer=details["issuer"],
            fingerprint=found["fingerprint"],
        )

    def _run(self, verb: str, *arguments: str, fds: tuple[int, ...] = ()) -> str:
        try:
            done = subprocess.run(
                [str(self.program), verb, *arguments],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            mend = "install Nebula 1.10 or newer, or say where it is with RITI_NEBULA_CERT"
            raise RitiError.because(f"{self.program} does not run: {type(error).__name__}", mend) from error
        if done.returncode:
            words = " ".join((done.stderr or done.stdout).split())[:400]
            mend = "RITI needs nebula-cert 1.10 or newer; mend what it names"
            raise RitiError.because(f"nebula-cert {verb} failed: {words}", mend)
        return done.stdout


@contextmanager
def _memory(text: str = "") -> Iterator[int]:
    """An anonymous file in memory that holds text; gone when closed."""
    file = os.memfd_create("riti", os.MFD_CLOEXEC)
    try:
        os.write(file, text.encode())
        yield file
    finally:
        os.close(file)


def _path(file: int) -> str:
    return f"/proc/self/fd/{file}"


def _read(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    with os.fdopen(os.dup(file)) as opened:
        return opened.read()
