"""Makes a GitOps repository out of repo-layout/: whole, or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ritilib.assets import find_assets
from ritilib.errors import GitopsError
from ritilib.fleet.kinds import SLUG_LONGEST, SLUG_PATTERN
from ritilib.fleet.schema import write_schemas
from ritilib.gitops.command import ask_git, hide_credentials, run_git
from ritilib.gitops.repository import BASE, REMOTE, TRAILER, check_identity, write_commit
from ritilib.gitops.worktree import write_files

_TEMPLATE = ".j2"


@dataclass(frozen=True)
class Initialised:
    """A new repository: the UUID of its fleet, and the id of its root commit, which carries that UUID."""

    fleet_id: str
    root_commit: str


def init_repository(
    target: Path, fleet: str, remote: str | None, report: Callable[[str], None]
) -> Initialised:
    """Write repo-layout/ with a new fleet id to target and commit it as the root of branch main.

    target is absent or an empty folder other than the current one; fleet is a slug. remote (a URL, or the
    path of a bare repository) becomes `origin`, must hold no branch yet, and gets main. Everything is made
    beside target and renamed at the end. Raises GitopsError, with nothing left behind, where one of these
    does not hold, where Git does not know the author, or where the remote does not answer or does not take
    the push.
    """
    _check_target(target)
    if not re.fullmatch(SLUG_PATTERN, fleet) or len(fleet) > SLUG_LONGEST:
        mend = f"use at most {SLUG_LONGEST} of a-z, 0-9 and single dashes, a letter first"
        raise GitopsError.because(f"`{fleet}` cannot be a fleet's name", mend)
    address = _resolve_remote(remote) if remote else None
    target.parent.mkdir(parents=True, exist_ok=True)
    check_identity(target.parent)
    if address:
        _check_remote(target.parent, address)
    fleet_id = str(uuid4())
    beside = Path(tempfile.mkdtemp(prefix=".riti-init-", dir=target.parent))
    try:
        write_layout(beside, {"fleet": fleet, "fleet_id": fleet_id, "riti_version": version("ritilib")})
        root = _commit_root(beside, fleet, fleet_id)
        if address:
            run_git(beside, "remote", "add", REMOTE, address)
            report(f"pushing {BASE} to {hide_credentials(address)}")
            mend = "look at the network and at your access to the forge, then run the same again"
            run_git(beside, "push", "--quiet", "--set-upstream", REMOTE, BASE, mend=mend)
        _publish(beside, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    report(f"{target} is the GitOps repository of `{fleet}`")
    return Initialised(fleet_id, root)


def write_layout(folder: Path, names: Mapping[str, str]) -> None:
    """Copy repo-layout/ into folder; `x.j2` becomes `x`, rendered with names (an unknown one is an error).

    The schemas of the fleet's files come beside them, from the model itself.
    """
    try:
        source = find_assets("repo-layout")
    except FileNotFoundError as error:
        raise GitopsError.because(str(error), "install RITI again: this installation is not whole") from None
    environment = Environment(
        loader=FileSystemLoader(source),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    for path in sorted(source.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(source).as_posix()
        place = folder / name.removesuffix(_TEMPLATE)
        place.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(_TEMPLATE):
            place.write_text(environment.get_template(name).render(names), encoding="utf-8")
        else:
            place.write_bytes(path.read_bytes())
    write_files(folder, write_schemas())


def _check_target(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise GitopsError.because(f"{target} exists and is no folder", "name a new folder")
    if target.is_dir() and any(target.iterdir()):
        raise GitopsError.because(f"{target} is not empty", "name a new folder")
    if target.resolve() == Path.cwd():
        # The folder is renamed into place; whoever stands in it would be left in one that is gone.
        raise GitopsError.because(f"{target} is the folder you are in", "name a new folder inside it")


def _resolve_remote(remote: str) -> str:
    """A path becomes absolute, since Git would take it from inside the new repository."""
    return str(Path(remote).resolve()) if Path(remote).exists() else remote


def _check_remote(folder: Path, remote: str) -> None:
    mend = "make an empty repository on the forge, and look at its address and at your access to it"
    heads = run_git(folder, "ls-remote", "--heads", "--", remote, mend=mend).split()
    if heads:
        mend = f"clone it, if it is your fleet: git clone {hide_credentials(remote)}; or name an empty one"
        raise GitopsError.because(f"{hide_credentials(remote)} holds a branch already ({heads[1]})", mend)


def _commit_root(folder: Path, fleet: str, fleet_id: str) -> str:
    run_git(folder, "init", "--quiet", f"--initial-branch={BASE}", ".")
    # Rules of the user's own must not leave a file of the skeleton out.
    run_git(folder, "add", "--all", "--force", ".")
    tree = run_git(folder, "write-tree").strip()
    message = f"Start the fleet {fleet}\n\n{TRAILER}: {fleet_id}\n"
    root = write_commit(folder, tree, (), message)
    run_git(folder, "update-ref", "-m", "riti init", f"refs/heads/{BASE}", root)
    seen = ask_git(folder, "show", "-s", f"--format=%(trailers:key={TRAILER},valueonly)", root)
    if seen.output.strip() != fleet_id:
        raise GitopsError.because(
            "Git does not give back the root commit's trailer", "look at trailer.* in your Git settings"
        )
    return root


def _publish(beside: Path, target: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    beside.chmod(target.stat().st_mode & 0o7777 if target.exists() else 0o777 & ~mask)
    try:
        beside.rename(target)
    except OSError as error:
        raise GitopsError.because(
            f"{target} cannot be put in place: {error.strerror}", "name a new folder"
        ) from None
