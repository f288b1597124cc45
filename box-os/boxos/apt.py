"""Asks the machine's own Debian mirror, in a state of its own: the machine's lists and packages are not touched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from boxos.flavour import FLAVOURS, Flavour
from boxos.lock import Lock, Package
from boxos.programs import run
from boxos.recipe import ARCHITECTURE, PACKAGES, SUITE
from ritilib.devstack.machine.unpack import find_mirror
from ritilib.errors import RitiError

_MEND = "apt's mirror must be reachable and hold Debian " + SUITE


@dataclass(frozen=True)
class Apt:
    """apt for another suite and architecture, with its lists below folder."""

    folder: Path
    mirror: str

    def options(self) -> list[str]:
        settings = {
            "Dir::State": self.folder,
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder / "cache",
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "APT::Architecture": ARCHITECTURE,
            "APT::Architectures": ARCHITECTURE,
            "APT::Install-Recommends": "false",
            # a suite in the making renews its Release file late; the signature is checked all the same
            "Acquire::Check-Valid-Until": "false",
        }
        return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def update(self) -> None:
        """Fetch the suite's lists, by its signature."""
        (self.folder / "lists/partial").mkdir(parents=True, exist_ok=True)
        (self.folder / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        (self.folder / "sources.list").write_text(f"deb [arch={ARCHITECTURE}] {self.mirror} {SUITE} main\n")
        run(["apt-get", *self.options(), "update"])

    def read_epoch(self) -> int:
        """When the suite was published."""
        for file in sorted((self.folder / "lists").glob("*Release")):
            if found := re.search(r"^Date: (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE):
                return int(parsedate_to_datetime(found[1]).timestamp())
        raise RitiError.because("the suite's Release file says no date", _MEND)

    def list_essential(self) -> list[str]:
        """The packages that every Debian has."""
        said = run(["apt-cache", *self.options(), "dumpavail"])
        return sorted(
            stanza.split("\n", 1)[0].removeprefix("Package: ")
            for stanza in said.split("\n\n")
            if "\nEssential: yes\n" in f"\n{stanza}\n"
        )

    def resolve(self, names: Sequence[str]) -> tuple[Package, ...]:
        """names and all that they depend on, sorted."""
        said = run(["apt-get", *self.options(), "--simulate", "--yes", "install", *names])
        chosen = re.findall(r"^Inst (\S+) \((\S+) ", said, re.MULTILINE)
        return tuple(sorted(self.describe(chosen), key=lambda one: one.name))

    def describe(self, chosen: Sequence[tuple[str, str]]) -> list[Package]:
        """File, digest and size of each (name, version), from the signed lists."""
        said = run(["apt-cache", *self.options(), "show", *(f"{name}={version}" for name, version in chosen)])
        found = {}
        for stanza in said.split("\n\n"):
            value = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza, re.MULTILINE))
            if value:
                found[value["Package"], value["Version"]] = Package(
                    name=value["Package"],
                    version=value["Version"],
                    file=value["Filename"],
                    sha256=value["SHA256"],
                    size=int(value["Size"]),
                )
        if absent := sorted(name for name, version in chosen if (name, version) not in found):
            raise RitiError.because(f"the mirror's lists do not describe {', '.join(absent)}", _MEND)
        return [found[one] for one in chosen]

    def resolve_kernel(self, flavour: Flavour) -> tuple[Package, ...] | None:
        """The packages with that flavour's kernel and modules; None where no archive here has it."""
        if not run(["apt-cache", *self.options(), "search", "--names-only", f"^{flavour.kernel}$"]).strip():
            return None
        return tuple(one for one in self.resolve([flavour.kernel]) if one.name.startswith(flavour.parts))


def resolve_lock(folder: Path) -> Lock:
    """The newest packages of the recipe, asked of the machine's own mirror; folder keeps apt's lists.

    RitiError where the mirror is not reachable or lacks one.
    """
    apt = Apt(folder, find_mirror().rstrip("/"))
    apt.update()
    kernels = {name: apt.resolve_kernel(flavour) for name, flavour in FLAVOURS.items()}
    return Lock(
        suite=SUITE,
        architecture=ARCHITECTURE,
        epoch=apt.read_epoch(),
        packages=apt.resolve([*apt.list_essential(), *PACKAGES]),
        kernels={name: packages for name, packages in kernels.items() if packages},
    )
