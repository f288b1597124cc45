"""What a mailbox does not go together with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ritilib.errors import Problem
from ritilib.fleet.box_file import BoxFile, Extension
from ritilib.fleet.source import Source, Step


def judge_mailboxes(boxes: Iterable[tuple[Source, BoxFile]]) -> Iterator[Problem]:
    """A problem for each mailbox where an unanswered call is to go elsewhere as well."""
    for source, steps, extension in list_mailboxes(boxes):
        if extension.forward.unanswered:
            what = f"an unanswered call to {extension.number} goes to {extension.forward.unanswered} and to its mailbox"
            yield source.problem((*steps, "mailbox"), what, "keep one of the two", "mailbox-and-unanswered")


def warn_of_mailboxes(boxes: Iterable[tuple[Source, BoxFile]], timezone: str | None) -> Iterator[Problem]:
    """A warning for each mailbox of a company that no call reaches, and one where it cannot tell the time."""
    mailboxes = list(list_mailboxes(boxes))
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


def list_mailboxes(
    boxes: Iterable[tuple[Source, BoxFile]],
) -> Iterator[tuple[Source, tuple[Step, ...], Extension]]:
    """Every extension that has a mailbox, with its place."""
    for source, box in boxes:
        for index, extension in enumerate(box.extensions):
            if extension.mailbox:
                yield source, ("extensions", index), extension
