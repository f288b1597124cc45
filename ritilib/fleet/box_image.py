"""Which image a box runs, and where its bundles are had: what a box is told must be a version that it can fetch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address
from urllib.parse import urlsplit

from ritilib.errors import Problem
from ritilib.fleet.box_file import BoxFile
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.inherited import Settings
from ritilib.fleet.source import Source, Step

_AT: tuple[Step, ...] = ("box_image",)


def judge_box_images(
    fleet: tuple[Source, FleetFile],
    companies: Mapping[str, tuple[Source, CompanyFile]],
    boxes: Mapping[str, tuple[Source, BoxFile]],
) -> list[Problem]:
    """What of boxes' images does not go together, each at the nearest file that says it, once; keys as in Draft."""
    found: dict[tuple[str, str], Problem] = {}
    for key, box in boxes.items():
        company = companies.get(key.split("/")[0])
        levels: list[tuple[Source, Settings]] = [fleet, *([company] if company else []), box]
        for problem in _judge_levels(levels):
            found.setdefault((problem.file, problem.rule), problem)
    return list(found.values())


def judge_bundles(source: Source, said: Settings) -> Iterator[Problem]:
    """An address of the Internet that is asked without TLS: anybody on the way could keep a box from its updates."""
    bundles = said.box_image.bundles
    if bundles and bundles.startswith("http://") and not _is_private(urlsplit(bundles).hostname or ""):
        what = f"`box_image.bundles` ({bundles}) is asked in the clear, and is no private address"
        mend = (
            "write https:// and its `ca`, or an address of your own networks, such as http://10.0.0.5/bundles"
        )
        yield source.problem((*_AT, "bundles"), what, mend, "bundles-in-the-clear")


def _judge_levels(levels: list[tuple[Source, Settings]]) -> Iterator[Problem]:
    version, bundles, ca = (_find_nearest(levels, key) for key in ("version", "bundles", "ca"))
    if version is None:
        return
    if bundles is None:
        what = "`box_image.version` without `bundles`: nobody says where a box gets it"
        mend = "add `bundles`, the folder that it lies in, such as https://bundles.example/riti"
        yield version.problem((*_AT, "version"), what, mend, "image-without-bundles")
    elif ca is None and _says_https(levels):
        what = "`box_image.bundles` is https, and a box's image knows no public authorities"
        mend = "add `ca`, the certificate (PEM) of the authority that signed the server's"
        yield bundles.problem((*_AT, "bundles"), what, mend, "bundles-without-authority")


def _find_nearest(levels: list[tuple[Source, Settings]], key: str) -> Source | None:
    """The file nearest to the box that says this key of `box_image`."""
    found = [source for source, said in levels if getattr(said.box_image, key) is not None]
    return found[-1] if found else None


def _says_https(levels: list[tuple[Source, Settings]]) -> bool:
    said = [one.box_image.bundles for _, one in levels if one.box_image.bundles]
    return said[-1].startswith("https:")


def _is_private(host: str) -> bool:
    """An address that nobody in the Internet has: a private network's, or an overlay's (100.64.0.0/10)."""
    try:
        address = IPv4Address(host)
    except AddressValueError:
        return False
    return not (address.is_global or address.is_loopback or address.is_multicast or address.is_unspecified)
