"""A Gitea on loopback for tests of what the controller and a forge say to each other: the real server, with SQLite."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ritilib.devstack.machine.recipe import GITEA, build
from ritilib.devstack.processes import PATH, end_process, start_process, wait_until
from ritilib.devstack.record import LOOPBACK
from ritilib.devstack.servers.http_api import call, expect
from ritilib.errors import DevstackError

READY_S, END_S, COMMAND_S = 120.0, 20.0, 120.0
USER = "nobody"  # Gitea refuses to be root
ADMIN = "riti-admin"
_HEADER = "Authorization"


@dataclass(frozen=True)
class Gitea:
    """One that runs: address is its URL without a path; log holds what it says."""

    address: str
    folder: Path
    log: Path
    admin_token: str

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """What its API answers at a path below /api/v1, asked by its administrator or another; DevstackError where it
        is no success."""
        url = f"{self.address}/api/v1/{path}"
        status, value = call(method, url, _HEADER, f"token {token or self.admin_token}", body)
        return expect(status, value, f"Gitea: {method} {path}")

    def make_user(self, name: str) -> str:
        """The password of a new user."""
        password = secrets.token_hex(16)
        said = {"username": name, "email": f"{name}@localhost.example", "password": password}
        self.call("POST", "admin/users", said | {"must_change_password": False})
        return password

    def make_token(self, user: str, *scopes: str) -> str:
        """A token of a user with these scopes ("write:repository")."""
        words = [
            "admin",
            "user",
            "generate-access-token",
            "--username",
            user,
            "--token-name",
            secrets.token_hex(4),
        ]
        return _run(self.folder, [*words, "--scopes", ",".join(scopes), "--raw"]).split()[-1]


@contextmanager
def run_gitea(cache: Path, report: Callable[[str], None]) -> Iterator[Gitea]:
    """A new and empty one while it lasts, built where it is not yet. DevstackError where it does not come up."""
    built = build(GITEA, cache, report)
    with tempfile.TemporaryDirectory(prefix="riti-gitea.") as name:
        folder, log = Path(name), Path(name) / "gitea.log"
        # where the user who runs it may read: the cache is in a home that is closed to others
        shutil.copytree(built, folder / "own", copy_function=shutil.copy)
        with socket.create_server((LOOPBACK, 0)) as free:
            port = free.getsockname()[1]
        (folder / "data").mkdir()
        (folder / "app.ini").write_text(configure(folder, port))
        _give_away(folder)
        _run(folder, ["migrate"])
        words = ["admin", "user", "create", "--admin", "--username", ADMIN, "--random-password"]
        _run(folder, [*words, "--email", "admin@localhost.example", "--must-change-password=false"])
        process = start_process(_list_words(folder, ["web"]), log, _list_variables(folder))
        try:
            address = f"http://{LOOPBACK}:{port}"
            wait_until(
                lambda: call("GET", f"{address}/api/healthz")[0] == 200,
                READY_S,
                "starting Gitea",
                log,
                process,
            )
            token = Gitea(address, folder, log, "").make_token(ADMIN, "all")
            yield Gitea(address, folder, log, token)
        finally:
            end_process(process, END_S)


def configure(folder: Path, port: int) -> str:
    """Its app.ini: everything below folder, heard on loopback alone, and hooks to loopback allowed."""
    sections: dict[str, dict[str, object]] = {
        "": {"RUN_USER": _find_user(), "RUN_MODE": "prod", "WORK_PATH": folder},
        "server": {
            "HTTP_ADDR": LOOPBACK,
            "HTTP_PORT": port,
            "ROOT_URL": f"http://{LOOPBACK}:{port}/",
            "STATIC_ROOT_PATH": folder / "own",
            "DISABLE_SSH": "true",
            "OFFLINE_MODE": "true",
        },
        "database": {"DB_TYPE": "sqlite3", "PATH": folder / "data" / "gitea.db"},
        "security": {
            "INSTALL_LOCK": "true",
            "SECRET_KEY": secrets.token_hex(32),
            "PASSWORD_HASH_ALGO": "pbkdf2_v2",
        },
        "oauth2": {"ENABLED": "false"},
        "service": {"DISABLE_REGISTRATION": "true"},
        "webhook": {"ALLOWED_HOST_LIST": "loopback"},
        "indexer": {"ISSUE_INDEXER_TYPE": "db"},
        "repository": {"ROOT": folder / "data" / "repositories", "DEFAULT_BRANCH": "main"},
        "log": {"MODE": "console", "LEVEL": "Warn"},
        "cron": {"ENABLED": "false"},
    }
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]"] if section else []
        lines += [f"{key} = {value}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _run(folder: Path, words: Sequence[str]) -> str:
    """What one of its own commands prints."""
    done = subprocess.run(
        _list_words(folder, words),
        cwd=folder,
        env={"PATH": PATH, **_list_variables(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_S,
    )
    if done.returncode != 0:
        what = f"gitea {' '.join(words[:3])} failed: {(done.stderr or done.stdout).strip()[-400:]}"
        raise DevstackError.because(what, f"look at {folder}")
    return done.stdout


def _list_words(folder: Path, words: Sequence[str]) -> list[str]:
    own = [str(folder / "own" / "gitea"), *words, "--config", str(folder / "app.ini")]
    if os.geteuid() != 0:
        return own
    user = pwd.getpwnam(USER)
    setpriv = shutil.which("setpriv", path=PATH)
    if setpriv is None:
        raise DevstackError.because("setpriv is absent", "apt-get install util-linux")
    return [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--", *own]


def _list_variables(folder: Path) -> dict[str, str]:
    return {
        "HOME": str(folder / "data"),
        "USER": _find_user(),
        "GITEA_WORK_DIR": str(folder),
        "LANG": "C.UTF-8",
    }


def _find_user() -> str:
    return USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def _give_away(folder: Path) -> None:
    """To the user who runs it, where that is another than we."""
    if os.geteuid() != 0:
        return
    user = pwd.getpwnam(USER)
    for path in (folder, folder / "data", folder / "app.ini"):
        os.chown(path, user.pw_uid, user.pw_gid)
