"""Two changes of one fleet put together, file by file; pure, so that every pair can be tried.

Git's own merge is not used here, for it guesses: a file that is alike counts as renamed, and an edit of one
company's office could land in another's. Only a company renamed as a whole is followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ritilib.gitops.trees import Changes, Entry

_COMPANY = re.compile(r"^fleet/companies/([^/]+)\.yaml$")
_BOX = re.compile(r"^fleet/boxes/([^/]+)/([^/]+\.yaml)$")


@dataclass(frozen=True)
class Collision:
    """One file that both changed: what it was, what main made of it, what the branch made of it."""

    path: str
    before: Entry | None
    main: Entry | None
    branch: Entry | None


@dataclass(frozen=True)
class Combined:
    """entries: what must change in main's tree (None: goes); renames: company → its new name, on either side."""

    entries: Mapping[str, Entry | None]
    collisions: tuple[Collision, ...]
    renames: Mapping[str, str]


def combine(main: Changes, branch: Changes) -> Combined:
    """The branch's changes as changes of main's tree, both given since the commit that they have in common."""
    by_main, by_branch = find_renames(main), find_renames(branch)
    if any(by_main[company] != by_branch[company] for company in by_main.keys() & by_branch.keys()):
        by_main, by_branch = (
            {},
            {},
        )  # two new names: each stands, and what they share is said by the fleet's rules
    renames = by_main | by_branch
    followed_main, followed = _follow(main, renames), _follow(branch, renames)
    entries: dict[str, Entry | None] = {}
    for path in main:
        if (target := _move(path, by_branch)) != path:
            entries[path] = None
            entries.setdefault(target, followed_main[target][1])
    for path in branch:
        if _move(path, by_branch) != path:
            entries[path] = None
    collisions = []
    for path, (before, wanted) in followed.items():
        theirs = followed_main[path][1] if path in followed_main else before
        if theirs == before or wanted == theirs:
            entries[path] = wanted
        elif wanted == before:
            entries[path] = theirs
        else:
            collisions.append(Collision(path, before, theirs, wanted))
    return Combined(entries, tuple(sorted(collisions, key=lambda one: one.path)), renames)


def find_renames(changes: Changes) -> dict[str, str]:
    """company → new name, where its file went and every office of it stands, byte for byte, under one new company."""
    gone = {m[1] for path, (_, after) in changes.items() if after is None and (m := _COMPANY.match(path))}
    new = {m[1] for path, (before, _) in changes.items() if before is None and (m := _COMPANY.match(path))}
    left: dict[str, dict[str, Entry]] = {}
    came: dict[str, dict[str, Entry]] = {}
    for path, (before, after) in changes.items():
        if match := _BOX.match(path):
            if before and after is None:
                left.setdefault(match[1], {})[match[2]] = before
            elif after and before is None:
                came.setdefault(match[1], {})[match[2]] = after
    renames = {}
    for company in gone & left.keys():
        heirs = [heir for heir in new if left[company].items() <= came.get(heir, {}).items()]
        if len(heirs) == 1:
            renames[company] = heirs[0]
    return renames


def carry_claims(
    before: Mapping[str, str], main: Mapping[str, str], branch: Mapping[str, str], renames: Mapping[str, str]
) -> dict[str, str]:
    """Main's claims (path → text) with those that the branch made or took out; an address of main's stays its owner's.

    Whoever of the branch has none after that gets a free address when the fleet is rendered.
    """
    claims = dict(main)
    owners = {text.strip() for text in main.values()}
    for path in before.keys() - branch.keys():
        if main.get(path) == before[path]:
            del claims[path]
    for path in sorted(branch.keys() - before.keys() - main.keys()):
        company, slash, rest = branch[path].partition("/")
        text = f"{renames.get(company, company)}{slash}{rest}"
        if text.strip() not in owners:
            claims[path] = text
    return claims


def _move(path: str, renames: Mapping[str, str]) -> str:
    if (match := _COMPANY.match(path)) and match[1] in renames:
        return f"fleet/companies/{renames[match[1]]}.yaml"
    if (match := _BOX.match(path)) and match[1] in renames:
        return f"fleet/boxes/{renames[match[1]]}/{match[2]}"
    return path


def _follow(changes: Changes, renames: Mapping[str, str]) -> Changes:
    """The changes at the places that the files have in the end: a renamed one is one change, not two."""
    followed: Changes = {}
    for path, (before, after) in changes.items():
        target = _move(path, renames)
        earlier = followed.get(target, (None, None))
        followed[target] = (before or earlier[0], after or earlier[1])
    return followed
