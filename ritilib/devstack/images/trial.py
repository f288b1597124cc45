"""One image alone, with the least configuration that it starts on: for tests and benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ritilib.render.asterisk_conf import CONFIG_FOLDER, SCRATCH_FOLDERS, write_box_files, write_pbx_files

_PEER = "[box]\ntype=friend\nhost=127.0.0.1\n"
_DIAL_PLAN = "[from-box]\nexten => 1,1,Hangup(16)\n"
_PHONES = """\
[transport-udp]
type=transport
protocol=udp
bind=0.0.0.0:5060

[phone-101]
type=endpoint
context=from-box
transport=transport-udp
disallow=all
allow=alaw
aors=phone-101
auth=phone-101-auth

[phone-101-auth]
type=auth
auth_type=userpass
username=phone-101
password=none

[phone-101]
type=aor
max_contacts=1
"""


def write_trial(folder: Path, kind: str) -> dict[str, Any]:
    """Write the configuration of a "pbx" or a "box" below folder; what docker-compose needs to know.

    The options' names are docker-compose's. The image runs as in a job: read-only, no capabilities, no new
    privileges; and without a network.
    """
    etc, secrets = folder / kind / "etc", folder / kind / "secrets"
    files = {"pbx": write_pbx_files("127.0.0.1"), "box": write_box_files()}[kind]
    files = {"iax.conf": "[general]\nbindaddr=127.0.0.1\n" + _PEER, **files, "extensions.conf": _DIAL_PLAN}
    if kind == "box":
        files["pjsip.conf"] = _PHONES
    for place, texts in ((etc, files), (secrets, {"iax.conf": _PEER})):
        place.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (place / name).write_text(text)
    return {
        "image": f"riti/{kind}:dev",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "network_mode": "none",
        "tmpfs": [f"{place}:mode=1777,size=16m" for place in SCRATCH_FOLDERS],
        "volumes": [f"{etc}:{CONFIG_FOLDER}:ro", f"{secrets}:/secrets:ro"],
    }
