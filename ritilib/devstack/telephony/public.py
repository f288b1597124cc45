"""The public telephone network: one Asterisk that is every office's own line, and the adapter's side of it.

It registers at each box as the adapter's FXO would, takes what the box sends out by its line, and brings it to the
office that has the dialled number as a call from that office's FXO. As with a real line: it answers as soon as the
line is taken (an FXO cannot tell when the far end answers), what happens further is only heard (ringing, busy, a
number that does not exist), a line has one call at a time, and a box that does not answer lets the caller hear ringing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ritilib.devstack.telephony.company_files import NodePlan, invent_secret
from ritilib.errors import DevstackError
from ritilib.fleet.emergency import list_emergencies
from ritilib.fleet.model import Fleet
from ritilib.render.asterisk_conf import CONFIG_FOLDER, write_box_files, write_modules
from ritilib.render.modules import BOX_MODULES
from ritilib.routing.country import Country, describe_country
from ritilib.routing.table import public_forms

NAME = "public"
# no telephone of the lab and no signal tone has them
EMERGENCY_HZ, STRANGER_HZ = 3350, 3300
DEAD_LINE_CAUSE = 34  # SIP 503: what an adapter says whose line has no current
# it registers, and the box image has no use for that
_REGISTERING = ("res_pjsip_outbound_authenticator_digest", "res_pjsip_outbound_registration")
MORE_MODULES = tuple(module for module in _REGISTERING if module not in BOX_MODULES)
# with it the source of the audio changes when a call is connected, which the lab's telephones do not follow (they drop
# everything as late), while a real line is one steady source
_LEFT_OUT = ("bridge_native_rtp",)
MODULES_FOLDER = "/usr/lib/asterisk/modules"


@dataclass(frozen=True)
class Line:
    """The own line of a box ("acme/salto") and its public number (E.164)."""

    box: str
    number: str


@dataclass(frozen=True)
class Adapter:
    """How the box knows the adapter's FXO: user of its account, and the extension that an incoming call asks for."""

    user: str = "line"
    extension: str = "line"

    def password(self, box: str) -> str:
        return invent_secret("line", box)


def name_line(lines: Sequence[Line], box: str) -> str:
    """The line's name inside the public network: "line0"."""
    return f"line{[line.box for line in lines].index(box)}"


@dataclass(frozen=True)
class Outside:
    """The public network as one fleet meets it.

    emergencies are strings of digits; strangers are numbers (E.164) of people who have nothing to do with the fleet.
    """

    country: Country
    lines: tuple[Line, ...] = ()
    emergencies: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    adapter: Adapter = Adapter()


def describe_outside(fleet: Fleet, strangers: Sequence[str] = ()) -> Outside:
    """What the fleet's files say of it: the lines of its offices, its country, and that country's emergency numbers."""
    return Outside(
        country=describe_country(fleet.said.country),
        lines=tuple(
            Line(box.key, box.said.line.number)
            for company in fleet.companies
            for box in company.boxes
            if box.said.line
        ),
        emergencies=list_emergencies(fleet.said.country, fleet.said.emergency),
        strangers=tuple(strangers),
    )


def plan_public(outside: Outside, offices: Mapping[str, str]) -> NodePlan:
    """Its files; offices: box → the address at which its telephones register."""
    files = write_box_files()
    modules = [module for module in BOX_MODULES if module not in _LEFT_OUT]
    files["modules.conf"] = write_modules((*modules, *MORE_MODULES))
    files["iax.conf"] = "[general]\nbindaddr=127.0.0.1\n"
    files["pjsip.conf"] = _TRANSPORT + "".join(
        _LINE.format(
            line=name_line(outside.lines, line.box),
            office=offices[line.box],
            user=outside.adapter.user,
            password=outside.adapter.password(line.box),
        )
        for line in outside.lines
    )
    files["extensions.conf"] = _write_dial_plan(outside)
    return NodePlan(NAME, "", {CONFIG_FOLDER: files}, frozenset())


def find_modules(tree: Path) -> dict[str, str]:
    """Path here → place in the container of the modules that the box image lacks; tree is Debian's Asterisk."""
    folder = next(tree.glob("usr/lib/*/asterisk/modules"), tree / "absent")
    found = {str(folder / f"{name}.so"): f"{MODULES_FOLDER}/{name}.so" for name in MORE_MODULES}
    if absent := [path for path in found if not Path(path).is_file()]:
        raise DevstackError.because(f"Debian's Asterisk lacks {', '.join(absent)}", "remove the cache")
    return found


def _write_dial_plan(outside: Outside) -> str:
    lines = outside.lines
    numbers = "".join(
        f"exten => {form},1,Set(CALLEE={name_line(lines, line.box)})\n same => n,Goto(ring,s,1)\n"
        for line in lines
        for form in public_forms(line.number, outside.country)
    )
    numbers += "".join(
        f"exten => {form},1,Goto(stranger,s,1)\n"
        for number in outside.strangers
        for form in public_forms(number, outside.country)
    )
    numbers += "".join(f"exten => {number},1,Goto(emergency,s,1)\n" for number in outside.emergencies)
    return _DIAL_PLAN.format(
        own="".join(
            f"{name_line(lines, line.box)}_number={outside.country.write_dialled(line.number)}\n"
            for line in lines
        ),
        numbers=numbers,
        cause=DEAD_LINE_CAUSE,
        emergency_hz=EMERGENCY_HZ,
        stranger_hz=STRANGER_HZ,
        extension=outside.adapter.extension,
    )


_TRANSPORT = "[transport-udp]\ntype=transport\nprotocol=udp\nbind=0.0.0.0:5060\n"
# `line` marks the contact, so that a request to it is known to belong to this endpoint, whoever sends it.
_LINE = """
[{line}]
type=endpoint
context=taken
transport=transport-udp
disallow=all
allow=alaw
direct_media=no
rtp_symmetric=yes
from_user={user}
send_pai=yes
aors={line}
outbound_auth={line}

[{line}]
type=aor
contact=sip:{office}:5060

[{line}]
type=auth
auth_type=userpass
username={user}
password={password}

[{line}]
type=registration
transport=transport-udp
outbound_auth={line}
server_uri=sip:{office}:5060
client_uri=sip:{user}@{office}
contact_user={user}
expiration=300
max_random_initial_delay=0
retry_interval=2
forbidden_retry_interval=2
max_retries=100000
line=yes
endpoint={line}
"""
# A global <line>_dead=1 cuts a line. Each line is a group category of its own; who holds it is its only member.
_DIAL_PLAN = """\
[globals]
{own}
[taken]
exten => _[0-9*#+]!,1,Set(LINE=${{CHANNEL(endpoint)}})
 same => n,ExecIf($["${{${{LINE}}_dead}}" = "1"]?Hangup({cause}))
 same => n,Set(GROUP(${{LINE}})=held)
 same => n,ExecIf($[${{GROUP_COUNT(held@${{LINE}})}} > 1]?Hangup(17))
 same => n,Answer()
 same => n,Goto(number,${{EXTEN}},1)

[number]
{numbers}exten => _[0-9*#+]!,1,Goto(nobody,s,1)

[ring]
exten => s,1,GotoIf($["${{${{CALLEE}}_dead}}" = "1"]?unanswered,s,1)
 same => n,GotoIf($[${{GROUP_COUNT(held@${{CALLEE}})}} > 0]?busy,s,1)
 same => n,Set(GROUP(${{CALLEE}})=held)
 same => n,Set(CALLERID(num)=${{${{LINE}}_number}})
 same => n,Dial(PJSIP/{extension}@${{CALLEE}},120,r)
 same => n,Goto(unanswered,s,1)

[unanswered]
exten => s,1,Playtones(ring)
 same => n,Wait(600)

[busy]
exten => s,1,Playtones(busy)
 same => n,Wait(600)

[nobody]
exten => s,1,Playtones(congestion)
 same => n,Wait(600)

[stranger]
exten => s,1,Playtones({stranger_hz})
 same => n,Wait(600)

[emergency]
exten => s,1,Playtones({emergency_hz})
 same => n,Wait(600)
"""
