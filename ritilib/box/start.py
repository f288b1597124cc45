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
