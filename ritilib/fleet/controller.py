"""The controller's settings must go together: a repository with its credential, an SSH forge with its host key."""

from __future__ import annotations

from collections.abc import Iterator

from ritilib.errors import Problem
from ritilib.fleet.controller_file import Controller
from ritilib.fleet.source import Source


def judge_controller(source: Source, said: Controller | None) -> Iterator[Problem]:
    """What of the controller's settings does not go together."""
    if said is None:
        return
    is_http = said.remote.startswith("http")
    for index, secret in enumerate(said.secrets):
        steps = ("controller", "secrets", index)
        if secret in said.secrets[:index]:
            yield source.problem(steps, f"`{secret}` is there twice", "take one out", "secret-twice")
        if secret == "git_token" and not is_http:
            what = f"`git_token` opens no repository at {said.remote}"
            yield source.problem(steps, what, "write an https address, or take `git_key`", "wrong-credential")
        if secret == "git_key" and is_http:
            what = f"`git_key` opens no repository at {said.remote}"
            yield source.problem(steps, what, "write an ssh address, or take `git_token`", "wrong-credential")
    if not is_http and not said.known_hosts:
        what = f"nobody says by which key {said.remote} is known"
        mend = "add `known_hosts`, as `ssh-keyscan HOST` prints them and the forge's own pages confirm them"
        yield source.problem(("controller", "remote"), what, mend, "host-unknown")
    if ("forge_token" in said.secrets) != (said.forge is not None):
        step = "forge" if said.forge else "secrets"
        mend = "have both, or neither"
        what = "`forge` and `forge_token` in `secrets` need each other"
        yield source.problem(("controller", step), what, mend, "forge-without-token")
