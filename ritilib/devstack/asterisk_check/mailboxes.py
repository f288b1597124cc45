"""voicemail.conf: [general] and [zonemessages], and any other section holds mailboxes, a line for each."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ritilib.devstack.asterisk_check.conf import Conf, Setting
from ritilib.errors import Problem

_MEND = "see etc/asterisk/voicemail.conf of Asterisk's samples"
# `number => password,name,mail,pager,options`, the last joined by "|"
_FIELDS = 5
_MAIL = slice(2, 4)


def check_mailboxes(name: str, conf: Conf, options: Collection[str]) -> Iterator[Problem]:
    """Options that Asterisk would pass over, zones that are not there, and mail, which no image can send."""
    zones = {
        one.name for section in conf.sections if section.name == "zonemessages" for one in section.settings
    }
    for section in conf.sections:
        for one in section.settings:
            if section.name == "general":
                if one.name not in options:
                    yield Problem(name, one.line, 0, f"`{one.name}` is no option of general", _MEND)
            elif section.name == "zonemessages":
                if one.value.count("|") != 1:
                    yield Problem(name, one.line, 0, f"`{one.name}` is no zone and what is said", _MEND)
            else:
                yield from _check_mailbox(name, one, options, zones)


def _check_mailbox(
    name: str, one: Setting, options: Collection[str], zones: Collection[str]
) -> Iterator[Problem]:
    fields = one.value.split(",", _FIELDS - 1)
    if not one.name.isdigit():
        yield Problem(name, one.line, 0, f"`{one.name}` is no mailbox", _MEND)
    if any(fields[_MAIL]):
        yield Problem(name, one.line, 0, f"{one.name} wants mail sent, and nothing here sends it", _MEND)
    for option in fields[_FIELDS - 1].split("|") if len(fields) == _FIELDS else ():
        key, _, value = option.partition("=")
        if key not in options:
            yield Problem(name, one.line, 0, f"`{key}` is no option of a mailbox", _MEND)
        elif key == "tz" and value not in zones:
            yield Problem(name, one.line, 0, f"there is no zone `{value}`", _MEND)
