"""Small fleets for tests: the files of one that is fine, to be changed a little."""

from __future__ import annotations

FLEET_ID = "6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11"

FLEET = f"""\
id: {FLEET_ID}
name: demo
overlay: 100.80.0.0/16
country: UY
images: {{pbx: riti/pbx:dev, box: riti/box:dev, overlay: riti/overlay:dev}}
lighthouses:
  - {{name: one, address: 10.93.0.1, port: 4242}}
"""

ACME = """\
name: Acme S.A.
routes:
  - number: "100"
    to: "101"
"""

MONTEVIDEO = """\
name: Montevideo
extensions:
  - number: "101"
    name: Recepción
    public: "+59826001101"
"""

SALTO = """\
name: Salto
extensions:
  - number: "201"
    name: Depósito
    public: "+59847331201"
"""


def make_files(**changed: str) -> dict[str, bytes]:
    """The good fleet's files; a keyword (fleet, acme, montevideo, salto) takes the place of that
    file's text; any other is another box of Acme."""
    texts = {
        "fleet/fleet.yaml": changed.get("fleet", FLEET),
        "fleet/companies/acme.yaml": changed.get("acme", ACME),
        "fleet/boxes/acme/montevideo.yaml": changed.get("montevideo", MONTEVIDEO),
        "fleet/boxes/acme/salto.yaml": changed.get("salto", SALTO),
    }
    texts |= {
        f"fleet/boxes/acme/{name}.yaml": text
        for name, text in changed.items()
        if name not in ("fleet", "acme", "montevideo", "salto")
    }
    return {path: text.encode() for path, text in texts.items()}
