"""How Asterisk is started on a box: by the watcher that a PBX has, which leaves itself beside it."""

from __future__ import annotations

from ritilib.render.asterisk_conf import CONFIG_FOLDER

# It waits for no address, since nothing is started before the overlay is up. "cloud" is the peer whose reach is the
# link's; the files are taken over when they change.
START: tuple[str, ...] = (
    *("/watcher", "start", "--peer", "cloud"),
    *("--config", f"{CONFIG_FOLDER}/words.txt", "--config", f"{CONFIG_FOLDER}/extensions.conf"),
    *("--config", f"{CONFIG_FOLDER}/iax.conf", "--"),
)

# The same where an agent keeps the files: they are not there before the box has enrolled, what is read at a start only
# comes with a new start once no call is up, and the overlay's address, which is waited for, is the configuration's.
FOLLOWED: tuple[str, ...] = ("words.txt", "extensions.conf", "iax.conf", "pjsip.conf", "voicemail.conf")
START_WITH_AGENT: tuple[str, ...] = (
    *("/watcher", "start", "--await", "--peer", "cloud"),
    *("--anew", f"{CONFIG_FOLDER}/start.txt", "--bound", f"{CONFIG_FOLDER}/iax.conf", "--timeout", "24h"),
    *(word for name in FOLLOWED for word in ("--config", f"{CONFIG_FOLDER}/{name}")),
    "--",
)
