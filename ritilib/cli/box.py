"""riti box, riti extension: a box or a telephone more or less, without an editor."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from ritilib.cli.options import json_option, repo_option
from ritilib.cli.printing import print_json, print_problems, print_rows
from ritilib.fleet.edit import NewExtension, add_box, add_extension, find_box, remove_box
from ritilib.fleet.inherited import Settings
from ritilib.fleet.load import load_fleet
from ritilib.fleet.model import Fleet
from ritilib.gitops.change import Changed, Edit, change_fleet
from ritilib.gitops.worktree import read_fleet_files

PHONES = ("adapter", "sip")
key_argument = click.argument("key", metavar="COMPANY/BOX")


class ExtensionType(click.ParamType[NewExtension]):
    """NUMBER:NAME[:adapter|sip]; a name with a colon in it goes by `riti extension add`."""

    name = "NUMBER:NAME[:adapter|sip]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> NewExtension:
        number, *rest = str(value).split(":")
        if len(rest) not in (1, 2) or (len(rest) == 2 and rest[1] not in PHONES):
            self.fail(f"`{value}` is not {self.name}, such as 201:Reception:sip", param, ctx)
        return NewExtension(number, *rest)


@click.group()
def box() -> None:
    """Add, show and remove the box of an office, and write its card.

    \b
    Example: riti box show acme/salto
    """


@box.command("add")
@key_argument
@repo_option
@click.option("--name", required=True, help="The office's name as people write it.")
@click.option(
    "--extension",
    "extensions",
    type=ExtensionType(),
    metavar=ExtensionType.name,
    multiple=True,
    required=True,
    help="A telephone; again for each one more.",
)
@click.option("--public", help="The first telephone's number in the public network, such as +59847331201.")
@click.option("--serial", help="The Raspberry Pi's serial number, as in /proc/cpuinfo.")
def box_add(
    key: str,
    repo: Path,
    name: str,
    extensions: tuple[NewExtension, ...],
    public: str | None,
    serial: str | None,
) -> None:
    """Write the file of a new box; nothing is written where the fleet would not be fine with it.

    \b
    Example: riti box add acme/rivera --name Rivera --extension 401:Reception --public +59846221401
    """
    first, *others = extensions
    given = (NewExtension(first.number, first.name, first.phone, public), *others)
    report_change(repo, partial(add_box, key=key, name=name, serial=serial, extensions=given))


@box.command("show")
@key_argument
@repo_option
@json_option
def box_show(key: str, repo: Path, as_json: bool) -> None:
    """Show what the fleet says of one box: its addresses, telephones, and the numbers that lead to them.

    \b
    Example: riti box show acme/salto --json
    """
    files = read_fleet_files(repo)
    path = find_box(files, key)
    shown = describe_box(load_fleet(files).fleet, key) | {"file": path}
    if as_json:
        print_json(shown)
    else:
        print_rows(("what", "value"), list(_list_rows(shown)))


def _list_rows(shown: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((word, value) for word, value in shown.items() if isinstance(value, str))
    yield from (("pbx_address", address) for address in shown["pbx_addresses"])
    if shown["adapter"]:
        yield "adapter", shown["adapter"]["mac"]
    if shown["line"]:
        yield "line", shown["line"]["number"]
        if shown["line"]["lent_to"]:
            yield "lent_to", ", ".join(shown["line"]["lent_to"])
    for extension in shown["extensions"]:
        cells = (extension["number"], extension["name"], extension["phone"], extension["public"] or "")
        yield "extension", "  ".join(filter(None, cells))
    yield from (("route", f"{route['number']} leads to {route['to']}") for route in shown["routes"])
    yield from (("group", f"{group['number']} {group['name']}") for group in shown["groups"])
    if shown["canary"]:
        yield "canary", "yes"
    for word, value in shown["settings"].items():
        if word == "image_ca" or (word == "image_attempt" and value == 1):
            continue  # a certificate is no line of a table, and the first try needs no word
        if word == "maintenance":
            yield from ((word, f"{one['days']} {one['from']}-{one['to']}") for one in value)
        elif word == "sync":
            yield from _list_sync_rows(value)
        elif value is not None:
            yield word, ", ".join(value) if isinstance(value, list) else str(value)


def _list_sync_rows(sync: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the controller leaves alone of the box; nothing where that is nothing."""
    if sync["suspended"]:
        yield "sync.suspended", sync["suspended"]
    if not sync["self_heal"]:
        yield "sync.self_heal", "no"
    for one in sync["windows"]:
        yield "sync.windows", f"{one['days']} {one['from']}-{one['to']}"


def describe_box(fleet: Fleet, key: str) -> dict[str, Any]:
    """What the fleet says of the box, as plain values; settings are those that hold, inherited ones too.

    The fleet has such a box.
    """
    company, found = next(
        (company, one) for company in fleet.companies for one in company.boxes if one.key == key
    )
    numbers = {extension.number for extension in found.said.extensions}
    routes = [route for route in company.said.routes if route.to in numbers]
    groups = [group for group in company.said.groups if numbers.intersection(group.rings)]
    return {
        "box": key,
        **found.said.model_dump(mode="json", exclude=set(Settings.model_fields)),
        "settings": found.settings.model_dump(mode="json", by_alias=True),
        "address": str(found.box_address),
        "pbx_addresses": [str(address) for address in found.pbx_addresses],
        "routes": [route.model_dump(mode="json") for route in routes],
        "groups": [group.model_dump(mode="json") for group in groups],
    }


@box.command("remove")
@key_argument
@repo_option
def box_remove(key: str, repo: Path) -> None:
    """Remove the file of a box. Its addresses stay claimed, since its PBX may still run.

    \b
    Example: riti box remove acme/rivera
    """
    report_change(repo, partial(remove_box, key=key))


@box.command("claim")
@key_argument
@repo_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="A new folder for what goes onto the card.",
)
@click.option(
    "--ca",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="PEM of the authority that signs the gateway's certificate.",
)
@click.option(
    "--days", type=click.IntRange(1, 30), default=30, show_default=True, help="How long it is good."
)
@click.option(
    "--otp",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="PEM of the device's own public key: a stolen card is then worth nothing without the device.",
)
@click.option(
    "--datacenter", default="", help="Consul's, where boxes are to log in to another than the default."
)
def box_claim(
    key: str, repo: Path, out: Path, ca: Path, days: int, otp: Path | None, datacenter: str
) -> None:
    """Write what goes onto the card of one box: a claim that Vault signs, and where the gateway is.

    Whoever has the card may be that box once, until the claim expires: keep it like a key. Needs VAULT_ADDR and
    VAULT_TOKEN, a token with the policy `riti-FLEET-claims` and no more.

    \b
    Example: riti box claim acme/salto --ca gateway-ca.pem --out card
    """
    # here, not above: it needs the servers' libraries, which no other command of this file does
    from ritilib.cli.card import write_card

    claim = write_card(repo, key, out, ca, days, otp, datacenter)
    click.echo(f"{out} written: generation {claim.generation} of {key}, for {claim.serial or 'any hardware'}")


@click.group()
def extension() -> None:
    """Add a telephone to a box.

    \b
    Example: riti extension add acme/salto 202 Workshop --phone sip
    """


@extension.command("add")
@key_argument
@click.argument("number")
@click.argument("name")
@repo_option
@click.option(
    "--phone", type=click.Choice(PHONES), help="Behind the adapter (the default), or on the network."
)
@click.option("--public", help="Its number in the public network, such as +59847331202.")
def extension_add(
    key: str, number: str, name: str, repo: Path, phone: str | None, public: str | None
) -> None:
    """Add a telephone to a box's file, and leave every other byte of it as it is.

    \b
    Example: riti extension add acme/salto 202 Workshop --phone sip
    """
    report_change(repo, partial(add_extension, key=key, extension=NewExtension(number, name, phone, public)))


def report_change(repo: Path, edit: Edit) -> None:
    """Make a change of the fleet's files, and print what was written, and the warnings about it."""
    changed: Changed = change_fleet(repo, edit)
    concerned = {*changed.paths, *(f"fleet/companies/{path.split('/')[2]}.yaml" for path in changed.paths)}
    print_problems(one for one in changed.loaded.warnings if one.file in concerned)
    for path in changed.paths:
        click.echo(f"{path} {'written' if (repo / path).exists() else 'removed'}; next: riti render")
