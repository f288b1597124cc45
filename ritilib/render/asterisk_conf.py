"""The files that Asterisk reads at its start only: folders, log, modules, and IAX2's own address."""

from __future__ import annotations

from ritilib.render.modules import BOX_MODULES, PBX_MODULES

CONFIG_FOLDER = "/local/asterisk"
# Written at run time and forgotten with the container: the root file system is read-only.
SCRATCH_FOLDERS = ("/var/lib/asterisk", "/var/log/asterisk", "/var/run/asterisk", "/var/spool/asterisk")
# the words of menus, where the watcher unpacks them and dial plans play them
SPOKEN_FOLDER = "/var/spool/asterisk/words"
# Inside them, what a box keeps over its container's end, on its data partition: the messages of mailboxes.
KEPT_FOLDERS = ("/var/spool/asterisk/voicemail",)
BIND_FILE = "/var/run/asterisk/bind.conf"
MANAGER_SECRET = "/var/run/asterisk/manager.secret"

_ASTERISK = f"""\
[directories]
astetcdir => {CONFIG_FOLDER}
astmoddir => /usr/lib/asterisk/modules
astvarlibdir => /usr/share/asterisk
astdatadir => /usr/share/asterisk
astdbdir => /var/lib/asterisk
astkeydir => /usr/share/asterisk
astagidir => /var/lib/asterisk
astspooldir => /var/spool/asterisk
astrundir => /var/run/asterisk
astlogdir => /var/log/asterisk
astsbindir => /usr/sbin

[options]
documentation_language = en_US
dontwarn = yes
hideconnect = yes
nocolor = yes
lockconfdir = no
"""

_LOGGER = """\
[general]
dateformat = %F %T.%3q

[logfiles]
console => notice,warning,error
"""

# Uruguay's tones (ITU-T E.180, supplement 2); a country of its own comes with the call policy.
_INDICATIONS = """\
[general]
country = uy

[uy]
description = Uruguay
ringcadence = 1000,4000
dial = 425
busy = 425/500,0/500
ring = 425/1000,0/4000
congestion = 425/250,0/250
info = 950/330,1400/330,1800/330,0/1000
"""

# Asterisk calls the absence of these an error at each start, and one that is always there hides the others.
_EMPTY = {
    "acl.conf": "",
    "cdr_custom.conf": "[mappings]\ncalls => ${CDR(uniqueid)}\n",
    "ccss.conf": "[general]\n",
    "cel.conf": "[general]\nenable=no\n",
    "features.conf": "[general]\n",
    "iaxprov.conf": "",
    "stasis.conf": "",
    "udptl.conf": "[general]\n",
}

# For the watcher alone, which writes the included file at every start, in memory: a new secret, and that the interface
# is on. Without that file it is off. The watcher may see calls and peers, and end a leg; the console's commands are
# not open here.
_MANAGER = f"""\
[general]
enabled=no
webenabled=no
bindaddr=127.0.0.1
port=5038
displayconnects=no

[watcher]
deny=0.0.0.0/0.0.0.0
permit=127.0.0.1/255.255.255.255
read=system,call
write=reporting,call
eventfilter(action(include),name(PeerStatus))=
eventfilter(action(include),name(Newchannel))=
eventfilter(action(include),name(Hangup))=

#tryinclude "{MANAGER_SECRET}"
"""

_PBX_IAX = """\
[general]
{bind}
bindport=4569
disallow=all
allow=alaw
encryption=no
delayreject=yes
jitterbuffer=no
autokill=yes

#include "/secrets/iax.conf"
"""


def write_pbx_files(address: str = "") -> dict[str, str]:
    """file name → text for a PBX. Any change of them replaces the task.

    address is its own in the overlay; "": that of the half of its pair that it has, which its watcher writes at each
    start.
    """
    bind = f"bindaddr={address}" if address else f'#include "{BIND_FILE}"'
    return _write_common(PBX_MODULES) | {"iax.conf": _PBX_IAX.format(bind=bind)}


def write_box_files() -> dict[str, str]:
    """file name → text for a box; its iax.conf is rendered whole, as the agent writes its secrets into it."""
    return _write_common(BOX_MODULES) | {
        "pjproject.conf": "",
        "voicemail.conf": "[general]\n",
        "rtp.conf": "[general]\nrtpstart=10000\nrtpend=10200\n",
    }


def write_modules(modules: tuple[str, ...]) -> str:
    """modules.conf: exactly these, in this order."""
    return "[modules]\nautoload=no\n" + "".join(f"load = {module}.so\n" for module in modules)


def _write_common(modules: tuple[str, ...]) -> dict[str, str]:
    return _EMPTY | {
        "asterisk.conf": _ASTERISK,
        "logger.conf": _LOGGER,
        "modules.conf": write_modules(modules),
        "cdr.conf": "[general]\nenable=no\n",
        "indications.conf": _INDICATIONS,
        "manager.conf": _MANAGER,
    }
