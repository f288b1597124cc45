"""The command as a program, with a forge that takes the question and never answers, and no server at all."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from ritilib.devstack.processes import poll

DEADLINE_S = 60.0
SERVERS = {
    f"{name}_{what}": value
    for name in ("NOMAD", "CONSUL_HTTP", "VAULT")
    for what, value in (("ADDR", "http://127.0.0.1:1"), ("TOKEN", "a-token-of-nobody"))
}


@pytest.fixture
def forge() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(DEADLINE_S)
        yield made


def start(folder: Path, log: Path, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "ritilib", "sync", "--mirror", str(folder / "mirror"), *arguments]
    given = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": os.getcwd()}
    given |= {"RITI_NEBULA_CERT": "/bin/true", **SERVERS, **environ}
    with log.open("wb") as output:
        return subprocess.Popen(argv, env=given, stdout=output, stderr=output, start_new_session=True)


def list_events(log: Path) -> list[dict]:
    text = log.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_leaves_a_git_that_waits_and_ends_well(tmp_path: Path, forge: socket.socket, sign: int) -> None:
    log = tmp_path / "log"
    url = f"http://127.0.0.1:{forge.getsockname()[1]}/telephones.git"
    process = start(tmp_path, log, "--remote", url, "--listen", "127.0.0.1:0")
    try:
        connection, _ = forge.accept()
        with connection:
            assert poll(lambda: any(one["event"] == "listening" for one in list_events(log)), DEADLINE_S)
            [listening] = [one for one in list_events(log) if one["event"] == "listening"]
            address = f"http://127.0.0.1:{listening['port']}"
            assert requests.get(f"{address}/healthz", timeout=DEADLINE_S).status_code == 200
            ready = requests.get(f"{address}/readyz", timeout=DEADLINE_S)
            assert (ready.status_code, "has not been fetched yet" in ready.text) == (503, True)
            process.send_signal(sign)
            assert process.wait(DEADLINE_S) == 0
            # its Git is gone too, and with it the other end of the connection
            connection.settimeout(DEADLINE_S)
            while connection.recv(1 << 16):
                pass
    finally:
        process.kill()
        process.wait()
    assert [one["event"] for one in list_events(log)] == ["listening", "ended"]


def test_what_is_wrong_with_its_settings_is_said_at_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start(
        tmp_path, log, "--remote", "https://ana:secret-word@forge.example/t.git", RITI_HOOK_GITEA="short"
    )
    assert process.wait(DEADLINE_S) == 1
    assert "carries a name or a password" in log.read_text()
    assert "secret-word" not in log.read_text()
    url = "https://forge.example/acme/telephones.git"
    process = start(
        tmp_path, log, "--remote", url, "--forge", "gitea", RITI_NOTIFY_URL="http://chat.example/T0"
    )
    assert process.wait(DEADLINE_S) == 1
    assert "RITI_FORGE_TOKEN is not set" in log.read_text()
    assert "RITI_NOTIFY_URL holds what is no address" in log.read_text()
    assert "T0" not in log.read_text()
    process = start(tmp_path, log, "--listen", "nowhere", RITI_HOOK_GITEA="short")
    assert process.wait(DEADLINE_S) == 1
    assert "RITI_LISTEN is no address" in log.read_text()
    assert "RITI_HOOK_GITEA holds a secret of less than" in log.read_text()
