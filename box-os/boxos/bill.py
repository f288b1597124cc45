"""The bill of materials (CycloneDX 1.6, JSON): every Debian package, wheel and program of an image."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from boxos.lock import Package
from boxos.recipe import Recipe
from boxos.seed import derive_uuid


@dataclass(frozen=True)
class Component:
    """One thing in the image; purl names where it is from; sha256 is the file's that it came in ("" where none)."""

    name: str
    version: str
    purl: str
    sha256: str


def list_debian(packages: Iterable[Package], suite: str, architecture: str) -> list[Component]:
    """Each Debian package as a component."""
    return [
        Component(
            one.name,
            one.version,
            f"pkg:deb/debian/{quote(one.name)}@{quote(one.version, safe='')}?arch={architecture}&distro={suite}",
            one.sha256,
        )
        for one in packages
    ]


def write_bill(recipe: Recipe, seed: str, epoch: int, components: Iterable[Component]) -> str:
    """The bill's text: sorted, its time and number derived from the lock, so that it is the same each time."""
    ordered = sorted(components, key=lambda one: (one.purl, one.name))
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{derive_uuid(seed, 'bill ' + recipe.name)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "operating-system",
                "bom-ref": recipe.name,
                "name": f"riti-box-{recipe.board.name}",
                "version": recipe.version,
            },
        },
        "components": [
            {
                "type": "library",
                "bom-ref": one.purl,
                "name": one.name,
                "version": one.version,
                "purl": one.purl,
                **({"hashes": [{"alg": "SHA-256", "content": one.sha256}]} if one.sha256 else {}),
            }
            for one in ordered
        ],
    }
    return json.dumps(bill, indent=1, ensure_ascii=False) + "\n"
