"""A company of three offices for the laboratory, rendered; two of them have a line of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ritilib.devstack.telephony.callee import Callee
from ritilib.devstack.telephony.company import RunningFleet
from ritilib.devstack.telephony.public import Outside, describe_outside
from ritilib.fleet.load import load_fleet
from ritilib.render.tree import render_tree
from ritilib.routing.directory import Directory, build_directory

MONTEVIDEO, RIVERA, SALTO = "acme/montevideo", "acme/rivera", "acme/salto"
OFFICES: Mapping[str, tuple[str, ...]] = {MONTEVIDEO: ("101", "102"), SALTO: ("201",), RIVERA: ("301",)}
LINES = (MONTEVIDEO, SALTO)
STRANGER = "24000000"

_FLEET = """\
id: 6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11
name: lab
overlay: {subnet}
country: UY
images: {{pbx: riti/pbx:dev, box: riti/box:dev, overlay: riti/overlay:dev}}
lighthouses:
  - {{name: one, address: 10.93.0.1, port: 4242}}
start: on-merge
"""


@dataclass(frozen=True)
class Rendered:
    """A fleet of one company: the rendered tree, the public network that it meets, and the company's directory."""

    tree: dict[str, str]
    outside: Outside
    directory: Directory


def render_company(
    subnet: str,
    offices: Mapping[str, tuple[str, ...]] = OFFICES,
    lines: Collection[str] = LINES,
    more: str = "",
    rings: Mapping[str, str] | None = None,
    words: Mapping[str, bytes] | None = None,
    lent: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    changed: Mapping[str, str] | None = None,
) -> Rendered:
    """offices: box → its extensions; 101 has the public number +598 2600 0101, and a line has its first one's.

    more is what else stands in the company's file, rings the number that a box's line rings, words recordings by name.
    lent: box → to whom its line is lent, as YAML; settings: box → what else stands in its file; changed: path of a file
    of the fleet → the text that takes its place.
    """
    files = {"fleet/fleet.yaml": _FLEET.format(subnet=subnet)}
    for box, numbers in offices.items():
        company, name = box.split("/")
        text = f"name: {name}\n"
        if box in lines:
            led = f', rings: "{rings[box]}"' if rings and box in rings else ""
            led += f", lent_to: {lent[box]}" if lent and box in lent else ""
            text += f'line: {{number: "+59826000{numbers[0]}"{led}}}\n'
        text += (settings or {}).get(box, "")
        text += "extensions:\n" + "".join(
            f'  - {{number: "{one}", name: Phone {one}, phone: sip, public: "+59826000{one}"}}\n'
            for one in numbers
        )
        files[f"fleet/companies/{company}.yaml"] = f"name: {company}\n{more}"
        files[f"fleet/boxes/{box}.yaml"] = text
    content = {path: text.encode() for path, text in (files | dict(changed or {})).items()}
    content |= {f"fleet/words/acme/{name}.gsm": recording for name, recording in (words or {}).items()}
    loaded = load_fleet(content)
    [company_of_all] = loaded.fleet.companies
    return Rendered(
        tree=render_tree(loaded, content, "1.0"),
        outside=describe_outside(loaded.fleet, [f"+598{STRANGER}"]),
        directory=build_directory(loaded.fleet, company_of_all),
    )


def lend(fleet: RunningFleet, box: str, extension: str) -> Iterator[Callee]:
    """A telephone whose manner a test may change."""
    callee = fleet.phones[box, extension]
    yield callee
    callee.manner = "answer"
