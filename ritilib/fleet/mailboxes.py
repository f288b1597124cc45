"""What a mailbox does not go together with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ritilib.errors import Problem
from ritilib.fleet.box_file import BoxFile, Extension
from ritilib.fleet.source import Source, Step


def judge_mailboxes(boxes: Iterable[tuple[Source, BoxFile]]) -> Iterator[Problem]:
    """A problem for each mailbox where an unanswered call is to go elsewhere as well, and each that says nothing.

    `mailbox:` with nothing behind it would be none, where somebody has asked for one.
    """
    for source, steps, extension in _list_asked(boxes):
        place = (*steps, "mailbox")
        if extension.mailbox is None:
            what = f"the `mailbox` of {extension.number} has no value"
            mend = "write `mailbox: {}`, or with the seconds before it answers, or remove the key"
            yield source.problem(place, what, mend, "mailbox-without-value")
        elif other := extension.forward.unanswered:
            what = f"an unanswered call to {extension.number} goes to {other} and to its mailbox"
            yield source.problem(place, what, "keep one of the two", "mailbox-and-unanswered")


def warn_of_mailboxes(boxes: Iterable[tuple[Source, BoxFile]], timezone: str | None) -> Iterator[Problem]:
    """A warning for each mailbox of a company that no call reaches, and one where it cannot tell the time."""
    mailboxes = list(_list_asked(boxes))
    for source, steps, extension in mailboxes:
        if extension.forward.always:
            what = f"no call reaches the mailbox of {extension.number}: all go to {extension.forward.always}"
            mend = "take one of the two away; leave both where its messages are still to be heard"
            yield source.warning((*steps, "mailbox"), what, mend, "mailbox-never-rings")
    if mailboxes and timezone is None:
        source, steps, _ = mailboxes[0]
        what = "the company has no time zone: its mailboxes tell the hour of each message in UTC"
        mend = "say `timezone: …` in the company's file, or in fleet.yaml"
        yield source.warning((*steps, "mailbox"), what, mend, "mailbox-without-timezone")


def _list_asked(
    boxes: Iterable[tuple[Source, BoxFile]],
) -> Iterator[tuple[Source, tuple[Step, ...], Extension]]:
    """Every extension whose file has the key, with its place."""
    for source, box in boxes:
        for index, extension in enumerate(box.extensions):
            if "mailbox" in extension.model_fields_set:
                yield source, ("extensions", index), extension
