"""The mailboxes of a box: which there are, and how they speak."""

from __future__ import annotations

from collections.abc import Mapping

from ritilib.fleet.kinds import Language
from ritilib.fleet.model import Box
from ritilib.render.language import config_environment

# What a telephone dials to hear its mailbox, as at many telephone systems that are made of Asterisk.
OWN_MAILBOX = "*97"
# How Asterisk's say.c tells when a message was left: q is today, yesterday, a weekday or a date. The image has every
# word that these ask for (22.10.1, messages of today to last year), but none of a year in Russian: no q there.
SPOKEN_TIME: Mapping[Language, str] = {
    "en": "'vm-received' q 'digits/at' IMp",
    "es": "'vm-received' q 'digits/at' IMp",
    "fr": "'vm-received' q 'digits/at' HM",
    "it": "'vm-received' q 'digits/at' 'digits/hours' k 'digits/e' M 'digits/minutes'",
    "ru": "'vm-received' AdB 'digits/at' HM",
}


def render_mailboxes(box: Box, timezone: str | None) -> dict[str, str]:
    """path below rendered/<company>/<box>/ → text: voicemail.conf, in place of the empty one that every box has.

    {} where the office has no mailbox. timezone (IANA) is the company's; without one the hour is told in UTC.
    """
    if not any(extension.mailbox for extension in box.said.extensions):
        return {}
    template = config_environment().get_template("box/voicemail.conf.j2")
    spoken_time = SPOKEN_TIME[box.settings.language]
    return {"box/etc/voicemail.conf": template.render(box=box, timezone=timezone, spoken_time=spoken_time)}
