"""Give the machine what the stack needs: packages, servers; again without harm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ritilib.devstack.claims import hold_lock
from ritilib.devstack.machine import recipe
from ritilib.devstack.machine.needs import Machine, find_cni, list_missing, list_packages, probe_machine
from ritilib.devstack.machine.slowly import run_slowly
from ritilib.errors import DevstackError


@dataclass(frozen=True)
class Programs:
    """Where each program is. dockerd is None where a daemon answers and there is no program."""

    nomad: Path
    consul: Path
    bao: Path
    nebula: Path
    nebula_cert: Path
    cni: Path
    dockerd: Path | None

    def for_images(self) -> dict[str, Path]:
        """What goes into container images: nebula, nebula-cert."""
        return {"nebula": self.nebula, "nebula-cert": self.nebula_cert}


def set_up(cache: Path, report: Callable[[str], None], more: tuple[recipe.Recipe, ...] = ()) -> Programs:
    """Install what is missing from the machine's own registries and build the servers, and more, once.

    DevstackError lists all that is missing and cannot be given, before anything is changed.
    """
    machine = probe_machine(cache, more)
    missing = list_missing(machine)
    if missing:
        raise DevstackError(missing)
    with hold_lock(cache / "setup.lock"):
        if list_packages(machine):
            install_packages(machine, cache, report)
            machine = probe_machine(cache, more)
            if absent := list_packages(machine):
                names = " ".join(need.package for need in absent)
                raise DevstackError.because(
                    f"apt-get installed {names}, and still their programs are absent",
                    "look at dpkg -L for each",
                )
        for one in machine.builds:
            recipe.build(one, cache, report)
    return _find_programs(machine, cache)


def install_packages(machine: Machine, cache: Path, report: Callable[[str], None]) -> None:
    """One apt-get call for all; its lists are refreshed only when it does not find the packages."""
    names = [need.package for need in list_packages(machine)]
    reasons = ", ".join(f"{need.package} ({need.why})" for need in list_packages(machine))
    report(f"installing Debian packages: {reasons}")
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *names]

    def run(argv: list[str], what: str) -> None:
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        run_slowly(argv, what, cache / "apt.log", report, extra=quiet, mend=f"try by hand: {' '.join(argv)}")

    try:
        run(install, "installing packages")
    except DevstackError:
        run(["apt-get", "update"], "refreshing apt's lists")
        run(install, "installing packages")


def _find_programs(machine: Machine, cache: Path) -> Programs:
    places = {}
    for one in recipe.ALL:
        from_path = all(program in machine.found for program, _ in one.programs)
        for program, _ in one.programs:
            places[program] = machine.found[program] if from_path else one.find_folder(cache) / program
    cni = find_cni()
    if cni is None or machine.bao is None:  # list_missing and list_packages have seen to it
        raise DevstackError.because("the CNI plugins or OpenBao vanished", "run riti dev setup again")
    return Programs(
        nomad=places["nomad"],
        consul=places["consul"],
        bao=machine.bao,
        nebula=places["nebula"],
        nebula_cert=places["nebula-cert"],
        cni=cni,
        dockerd=machine.found.get("dockerd"),
    )
