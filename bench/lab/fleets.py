"""Fleets of any size as the files that an engineer would have written."""

from __future__ import annotations

from pathlib import Path

BOXES_PER_COMPANY = 20
EXTENSIONS_PER_BOX = 2
LONE = "alone"  # a company of one box
LONE_NUMBERS = ("1000", "1001")

_FLEET = """\
id: 6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11
name: demo
overlay: 100.80.0.0/16
country: UY
images: {pbx: riti/pbx:dev, box: riti/box:dev, overlay: riti/overlay:dev}
lighthouses:
  - {name: one, address: 10.93.0.1, port: 4242}
start: on-merge
"""


def make_offices(boxes: int, per_company: int = BOXES_PER_COMPANY) -> dict[str, str]:
    """path below fleet/ → text of so many boxes with their companies; the last company may be smaller."""
    files: dict[str, str] = {}
    for number in range(boxes):
        company, place = divmod(number, per_company)
        if place == 0:
            files[f"companies/c{company}.yaml"] = (
                f'name: Company {company}\nstart: on-merge\nroutes:\n  - number: "99"\n    to: "1000"\n'
            )
        files[f"boxes/c{company}/b{place}.yaml"] = _make_box(number, place)
    return files


def make_lone_office(boxes: int) -> dict[str, str]:
    """The same of one more box, whose company has no other: a change of its routes is a change of one PBX."""
    return {
        f"companies/{LONE}.yaml": "name: Alone\nstart: on-merge\n"
        f'routes:\n  - number: "99"\n    to: "{LONE_NUMBERS[0]}"\n',
        f"boxes/{LONE}/b0.yaml": _make_box(boxes, 0),
    }


def move_lone_route(fleet: Path) -> None:
    """Have the lone office's route lead to its other telephone; fleet is the folder of a work tree's fleet."""
    place = fleet / "companies" / f"{LONE}.yaml"
    text = place.read_text()
    here, there = LONE_NUMBERS if f'to: "{LONE_NUMBERS[0]}"' in text else reversed(LONE_NUMBERS)
    place.write_text(text.replace(f'to: "{here}"', f'to: "{there}"'))


def make_fleet(boxes: int, per_company: int = BOXES_PER_COMPANY) -> dict[str, bytes]:
    """path → content of a whole fleet of so many boxes, as `load_fleet` takes it."""
    files = {"fleet.yaml": _FLEET} | make_offices(boxes, per_company)
    return {f"fleet/{path}": text.encode() for path, text in files.items()}


def write_offices(folder: Path, boxes: int, lone: bool = False) -> None:
    """The same companies and boxes below folder; lone: the last of the boxes is the lone office."""
    files = make_offices(boxes - 1) | make_lone_office(boxes - 1) if lone else make_offices(boxes)
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def _make_box(number: int, place: int) -> str:
    text = f'name: Office {number}\nserial: "{number:016x}"\nextensions:\n'
    for extension in range(EXTENSIONS_PER_BOX):
        short = 1000 + place * 10 + extension
        phone = "sip" if extension else "adapter"  # an adapter has one telephone
        public = 59820000000 + number * 10 + extension
        text += f'  - number: "{short}"\n    name: Telephone {extension}\n    phone: {phone}\n    public: "+{public}"\n'
    return text
