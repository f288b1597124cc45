"""riti enroll: which boxes are in, which ask, and who is let in or locked out."""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click

from ritilib.cli.box import key_argument, report_change
from ritilib.cli.options import fleet_option, json_option, repo_option, rev_option
from ritilib.cli.printing import print_json, print_problems, print_rows, report
from ritilib.clients.consul import Consul
from ritilib.clients.settings import read_settings
from ritilib.enroll.binding import Binding
from ritilib.fleet import edit_enrollment
from ritilib.fleet.load import load_fleet
from ritilib.fleet.suspended import find_fleet_name, list_paths
from ritilib.gitops.objects import read_files
from ritilib.gitops.repository import find_commit
from ritilib.gitops.worktree import read_fleet_files
from ritilib.sync.enroll.by_hand import approve_now, deny, find_asking, revoke_now
from ritilib.sync.enroll.found import read_bindings

KEY_SHOWN = 12  # letters of a thumbprint, which two boxes never share
now_option = click.option(
    "--now", is_flag=True, help="Also in Consul, at once; Git must say it too. Needs CONSUL_HTTP_TOKEN."
)


@dataclass(frozen=True)
class Row:
    """One box. state: expected, waiting, bound, conflicting, denied or revoked."""

    box: str
    state: str
    serial: str
    key: str
    generation: int
    first_seen: str
    address: str
    why: str


@click.group()
def enroll() -> None:
    """See which boxes are in and which ask, and say which hardware is let in.

    approve, revoke and replace change a box's file, as `riti box` does: render, propose and merge it.

    \b
    Example: riti enroll list
    """


@enroll.command("list")
@repo_option
@rev_option
@fleet_option
@json_option
def enroll_list(repo: Path, rev: str, fleet: str | None, as_json: bool) -> None:
    """Show every box that is bound, waits, was turned away, or of which there seem to be two.

    Needs CONSUL_HTTP_ADDR and CONSUL_HTTP_TOKEN, a token with `key_prefix "riti/FLEET/enrolled/" { policy = "read" }`.

    \b
    Example: riti enroll list --json
    """
    name = fleet or find_fleet_name(read_files(repo, find_commit(repo, rev), *list_paths("")))
    found = read_bindings(_connect(), name)
    rows = [describe(key, one) for key, one in sorted(found.bindings.items())]
    if as_json:
        conflicts = {key: one.conflicts for key, one in found.bindings.items()}
        print_json([asdict(row) | {"turned_away": conflicts[row.box]} for row in rows])
    else:
        print_rows(
            ("box", "state", "serial", "key", "generation", "first seen", "address", "why"),
            [_list_cells(row) for row in rows],
        )
    print_problems(found.problems)


def describe(key: str, binding: Binding) -> Row:
    """A binding as people read it; of one that is well, the last that was turned away."""
    turned_away = [f"turned away: {one.why} (serial {one.serial})" for one in binding.conflicts[-1:]]
    return Row(
        key,
        "conflicting" if binding.state == "conflict" else binding.state,
        binding.serial,
        binding.thumbprint[:KEY_SHOWN],
        binding.generation,
        binding.first_seen,
        binding.address.split("/")[0],
        "; ".join([*([binding.why] if binding.why else []), *turned_away]),
    )


def _list_cells(row: Row) -> list[str]:
    return [str(value) for value in asdict(row).values()]


@enroll.command("approve")
@key_argument
@repo_option
@now_option
def enroll_approve(key: str, repo: Path, now: bool) -> None:
    """Write the serial number of the hardware that asks into the box's file: merged, it is let in.

    Compare the number with the one on the device first: it is what the device says of itself.

    \b
    Example: riti enroll approve acme/salto && riti render && riti propose -m "Salto's box"
    """
    consul, fleet = _connect(), _name_fleet(repo)
    asking = find_asking(consul, fleet, key)
    report(f"{key}: serial number {asking.serial}, key {asking.thumbprint[:KEY_SHOWN]}")
    report_change(repo, partial(edit_enrollment.approve, key=key, serial=asking.serial))
    if now:
        approve_now(consul, fleet, key)
        _say_git(key, "let in")


@enroll.command("deny")
@key_argument
@repo_option
@fleet_option
def enroll_deny(key: str, repo: Path, fleet: str | None) -> None:
    """Turn the hardware away that asks; another card is then needed. In Consul, at once.

    \b
    Example: riti enroll deny acme/salto
    """
    denied = deny(_connect(), fleet or _name_fleet(repo), key, _name_person())
    click.echo(f"{key}: the key {denied.thumbprint[:KEY_SHOWN]} of {denied.serial} is turned away")


@enroll.command("revoke")
@key_argument
@repo_option
@now_option
def enroll_revoke(key: str, repo: Path, now: bool) -> None:
    """Lock a box out: Consul, Vault and the overlay are closed to it, and its PBX is stopped.

    \b
    Example: riti enroll revoke acme/salto --now && riti render && riti propose -m "Salto's box was stolen"
    """
    report_change(repo, partial(edit_enrollment.revoke, key=key))
    if now:
        revoke_now(_connect(), _name_fleet(repo), key, _name_person())
        _say_git(key, "locked out")


@enroll.command("replace")
@key_argument
@repo_option
@click.option("--serial", help="The new hardware's serial number; without it: whichever is approved then.")
@now_option
def enroll_replace(key: str, repo: Path, serial: str | None, now: bool) -> None:
    """Let new hardware in for an office: the one before is locked out for ever. Then write it a card.

    \b
    Example: riti enroll replace acme/salto --serial 10000000a1b2c3d4
    """
    report_change(repo, partial(edit_enrollment.replace, key=key, serial=serial))
    if now:
        revoke_now(_connect(), _name_fleet(repo), key, _name_person())
        _say_git(key, "locked out, the one before")
    report(f"next, when it is merged: riti box claim {key}")


def _say_git(key: str, done: str) -> None:
    click.echo(
        f"{key}: {done} by the controller as soon as it reads it; Git has to catch up: merge the change"
    )


def _connect() -> Consul:
    return Consul(read_settings(os.environ, servers=("consul",)))


def _name_fleet(repo: Path) -> str:
    return load_fleet(read_fleet_files(repo)).fleet.name


def _name_person() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"
