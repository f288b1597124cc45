"""Whether a box reaches its telephones and lines, which is more than that they have registered."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from ritilib.devstack.telephony.office import wait_until

_CONTACT = re.compile(r"^ *Contact: +([^/\s]+)/\S+ +[0-9a-f]+ +(\w+)", re.MULTILINE)


def wait_answers(ask: Callable[[str], str], users: Collection[str], timeout_s: float) -> None:
    """Return when these of a box's telephones and lines answer it; ask is the console of its Asterisk.

    A box gives no call to a contact that let its first question wait for two seconds (qualify_timeout), as it may where
    many programs start at once, and asks again only after half a minute: so it is told to ask.
    """

    def do_answer() -> bool:
        states = dict(_CONTACT.findall(ask("pjsip show contacts")))
        silent = [user for user in users if states.get(user) != "Avail"]
        for user in silent:
            ask(f"pjsip qualify {user}")
        return not silent

    wait_until(do_answer, timeout_s, f"{', '.join(sorted(users))} answer their box")
