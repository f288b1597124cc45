"""A company of three offices for the laboratory, rendered; and what a box needs to use its own line."""

from __future__ import annotations

from collections.abc import Mapping

from ritilib.devstack.telephony.company import Outside
from ritilib.devstack.telephony.public import Adapter, Line
from ritilib.fleet.load import load_fleet
from ritilib.render.tree import render_tree

MONTEVIDEO, RIVERA, SALTO = "acme/montevideo", "acme/rivera", "acme/salto"
OFFICES: Mapping[str, tuple[str, ...]] = {MONTEVIDEO: ("101", "102"), SALTO: ("201",), RIVERA: ("301",)}
OUTSIDE = Outside(lines=(Line(MONTEVIDEO, "+59826001100"), Line(SALTO, "+59847331200")))

_FLEET = """\
id: 6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11
name: lab
overlay: {subnet}
country: UY
images: {{pbx: riti/pbx:dev, box: riti/box:dev, overlay: riti/overlay:dev}}
lighthouses:
  - {{name: one, address: 10.93.0.1, port: 4242}}
"""
_LINE = """
[line]
type=endpoint
context=from-line
transport=transport-udp
disallow=all
allow=alaw
direct_media=no
rtp_symmetric=yes
rewrite_contact=yes
aors=line
auth=line-auth

[line-auth]
type=auth
auth_type=userpass
username=line
password={password}

[line]
type=aor
max_contacts=1
remove_existing=yes
"""
# a 0 before the public number takes the own line, and so does the emergency number
_OUT = """\
[from-phone]
exten => _0.,1,Dial(PJSIP/${EXTEN:1}@line,60,g)
 same => n,Goto(ended,s,1)
exten => 911,1,Dial(PJSIP/911@line,60,g)
 same => n,Goto(ended,s,1)
"""
_IN = "\n[from-line]\nexten => line,1,Dial(PJSIP/phone-{number},30,g)\n same => n,Hangup(17)\n"


def render_company(subnet: str, offices: Mapping[str, tuple[str, ...]] = OFFICES) -> dict[str, str]:
    """path → text of the rendered tree; offices: box → its extensions, 59826000xxx their public numbers."""
    files = {"fleet/fleet.yaml": _FLEET.format(subnet=subnet)}
    for box, numbers in offices.items():
        company, name = box.split("/")
        listed = "".join(
            f'  - {{number: "{one}", name: Phone {one}, phone: sip, public: "+59826000{one}"}}\n'
            for one in numbers
        )
        files[f"fleet/companies/{company}.yaml"] = f"name: {company}\n"
        files[f"fleet/boxes/{box}.yaml"] = f"name: {name}\nextensions:\n{listed}"
    content = {path: text.encode() for path, text in files.items()}
    return render_tree(load_fleet(content), content, "1.0")


def add_lines(
    tree: Mapping[str, str], offices: Mapping[str, tuple[str, ...]], outside: Outside
) -> dict[str, str]:
    """Give boxes with a line the endpoint `line` and the little dial plan that uses it: nothing renders them yet."""
    changed = dict(tree)
    for line in outside.lines:
        folder = f"rendered/{line.box}/box/etc/"
        changed[folder + "pjsip.conf"] += _LINE.format(password=Adapter().password(line.box))
        plan = changed[folder + "extensions.conf"].replace("[from-phone]\n", _OUT)
        changed[folder + "extensions.conf"] = plan + _IN.format(number=offices[line.box][0])
    return changed
