"""The controller's web, over real HTTP on loopback."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from ritilib.errors import RitiError
from ritilib.sync.wake import Wakeups
from ritilib.sync.web.app import BODY_LIMIT, Web
from ritilib.sync.web.board import Board, Standing
from ritilib.sync.web.hooks import FORGES
from ritilib.sync.web.listen import listen
from ritilib.sync.web.metrics import Metrics
from ritilib.sync.web.rate import RateLimit
from ritilib.sync.web.settings import WebSettings, read_web_settings
from tests.unit.sync.web.test_hooks import PUSH, SECRET, make_headers


@dataclass
class Served:
    """The web at url, and what stands behind it."""

    wakeups: Wakeups = field(default_factory=Wakeups)
    leader: Wakeups = field(default_factory=Wakeups)
    board: Board = field(default_factory=Board)
    metrics: Metrics = field(default_factory=Metrics)
    secrets: Callable[[], dict] = lambda: dict.fromkeys(FORGES, (SECRET,))
    said: list[str] = field(default_factory=list)
    errors: list[tuple[str, RitiError]] = field(default_factory=list)
    port: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url(path), timeout=20)

    def post(self, forge: str, body: bytes = PUSH, secret: str = SECRET) -> requests.Response:
        headers = make_headers(forge, body, secret)
        return requests.post(self.url(f"/hook/{forge}"), data=body, headers=headers, timeout=20)

    def read_figures(self) -> dict[str, float]:
        """name{labels} → value, as Prometheus reads them."""
        families = text_string_to_metric_families(self.get("/metrics").text)
        return {
            f"{one.name}{json.dumps(one.labels, sort_keys=True) if one.labels else ''}": one.value
            for family in families
            for one in family.samples
        }


@pytest.fixture
def served(no_thread_left: None) -> Iterator[Served]:
    behind = Served()
    web = Web(
        behind.wakeups,
        behind.board,
        behind.metrics,
        lambda: behind.secrets(),
        "main",
        lambda name, error: behind.errors.append((name, error)),
        guesses=RateLimit(per_minute=0.001, burst=3),
        requests=RateLimit(per_minute=0.001, burst=12),
        leader=behind.leader,
    )
    with listen(web, "127.0.0.1", 0, BODY_LIMIT, behind.said.append) as behind.port:
        yield behind


@pytest.mark.parametrize("forge", FORGES)
def test_a_push_wakes_the_loop_and_a_replay_does_no_more(served: Served, forge: str) -> None:
    for _ in range(2):
        answer = served.post(forge)
        assert (answer.status_code, answer.text) == (202, "Accepted\n")
    assert served.wakeups.wait(0) == {"webhook"} and served.wakeups.wait(0) == {"timer"}


@pytest.mark.parametrize(("role", "told"), [("starting", True), ("follows", True), ("leads", False)])
def test_who_does_not_lead_passes_a_push_on(served: Served, role: str, told: bool) -> None:
    served.board.standing = Standing(role)
    assert served.post("gitea").status_code == 202
    assert served.wakeups.wait(0) == {"webhook"}
    assert served.leader.wait(0) == ({"webhook"} if told else {"timer"})
    served.post("gitea", b'{"ref": "refs/heads/other"}')
    served.post("gitea", secret="a-guess-of-some-length")
    assert served.leader.wait(0) == {"timer"}, "what is no push, or nobody's, goes no further"


def test_another_branch_is_taken_and_wakes_nobody(served: Served) -> None:
    assert served.post("github", b'{"ref": "refs/heads/other"}').status_code == 200
    assert served.wakeups.wait(0) == {"timer"}


def test_a_wrong_secret_is_refused_without_a_word_and_guessing_ends(served: Served) -> None:
    for _ in range(3):
        answer = served.post("gitea", secret="a-guess-of-some-length")
        assert (answer.status_code, answer.text) == (401, "Unauthorized\n")
    assert served.post("gitea").status_code == 429
    assert served.wakeups.wait(0) == {"timer"}
    figures = served.read_figures()
    assert figures['riti_hooks_total{"forge": "gitea", "judgement": "refused"}'] == 3
    assert figures['riti_hooks_total{"forge": "gitea", "judgement": "limited"}'] == 1


def test_whoever_asks_too_often_waits(served: Served) -> None:
    assert [served.post("github").status_code for _ in range(13)] == [202] * 12 + [429]


def test_a_forge_without_a_secret_and_other_paths_are_not_there(served: Served) -> None:
    served.secrets = lambda: {"github": (SECRET,), "gitea": ()}
    assert served.post("gitea").status_code == 404 and served.post("gitlab").status_code == 404
    for path in ("/", "/hook", "/hook/", "/hook/github/", "/hook/bitbucket", "/healthz/x"):
        assert served.get(path).status_code == 404
    assert served.get("/hook/github").status_code == 405
    assert requests.post(served.url("/metrics"), timeout=20).status_code == 405


def test_secrets_that_cannot_be_read_are_reported_and_not_guessed(served: Served) -> None:
    def fail() -> dict:
        raise RitiError.because("no file", "make it")

    served.secrets = fail
    assert served.post("github").status_code == 503
    assert [name for name, _ in served.errors] == ["hooks"] and served.wakeups.wait(0) == {"timer"}


def ask_raw(served: Served, head: str, body: bytes = b"") -> bytes:
    """The first line of the answer to what no HTTP library would send."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(f"{head}\r\nHost: x\r\n".encode() + body)
        return connection.makefile("rb").readline()


def test_bodies_are_bounded_and_their_length_must_be_said(served: Served) -> None:
    assert b" 413 " in ask_raw(
        served, f"POST /hook/github HTTP/1.1\r\nContent-Length: {BODY_LIMIT + 1}", b"\r\n"
    )
    assert b" 411 " in ask_raw(served, "POST /hook/github HTTP/1.1", b"\r\n")
    long = "x" * 40_000
    assert b" 413 " in ask_raw(served, f"GET /healthz HTTP/1.1\r\nX-Long: {long}", b"\r\n")
    assert served.post("github", json.dumps({"ref": "refs/heads/main", "x": "y" * (4 << 20)}).encode()).ok
    assert b" 411 " in ask_raw(served, "POST /hook/github HTTP/1.1\r\nContent-Length: -5", b"\r\n")


def test_health_is_whether_the_loop_moves(served: Served) -> None:
    assert served.get("/healthz").status_code == 200
    clock = iter([0.0, 121.0, 121.0, 121.0])
    served.board = board = Board(lambda: next(clock))
    web = Web(served.wakeups, board, served.metrics, dict, "main", lambda *_: None)
    with listen(web, "127.0.0.1", 0, BODY_LIMIT, served.said.append) as port:
        answer = requests.get(f"http://127.0.0.1:{port}/healthz", timeout=20)
        assert (answer.status_code, answer.text) == (503, "the loop has not moved for 121 s\n")
        board.beat()
        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=20).status_code == 200


def test_readiness_says_what_it_lacks(served: Served) -> None:
    answer = served.get("/readyz")
    assert answer.status_code == 503 and len(answer.text.splitlines()) == 2
    served.board.standing = Standing("leads", "1" * 40, ("Consul", "Vault"))
    assert served.get("/readyz").text == (
        "Consul did not answer in the last cycle\nVault did not answer in the last cycle\n"
    )
    for role in ("leads", "follows"):
        served.board.standing = Standing(role, "1" * 40)
        answer = served.get("/readyz")
        assert (answer.status_code, answer.text) == (200, f"{role}\n")


def test_a_load_balancer_finds_the_one_that_leads(served: Served) -> None:
    for role, status in (("starting", 503), ("follows", 503), ("leads", 200)):
        served.board.standing = Standing(role, "1" * 40)
        answer = served.get("/leads")
        assert (answer.status_code, answer.text) == (status, f"{role}\n")


def test_figures_are_those_of_the_registry(served: Served) -> None:
    metrics = served.metrics
    metrics.cycles.labels("clean").inc()
    metrics.cycle_seconds.observe(0.5)
    metrics.wakes.labels("drift").inc(2)
    metrics.set_units({"changed": 3, "held": 1})
    metrics.note_applied("abc", 1_790_000_000)
    metrics.drift_healed.inc()
    metrics.fetch_failures.labels("unreachable").inc()
    metrics.leader.set(1)
    figures = served.read_figures()
    expected = {
        'riti_cycles_total{"outcome": "clean"}': 1,
        "riti_cycle_seconds_count": 1,
        'riti_wakes_total{"reason": "drift"}': 2,
        'riti_units{"state": "changed"}': 3,
        'riti_units{"state": "held"}': 1,
        'riti_units{"state": "failed"}': 0,
        "riti_last_applied_timestamp_seconds": 1_790_000_000,
        'riti_applied_info{"commit": "abc"}': 1,
        "riti_drift_healed_total": 1,
        'riti_fetch_failures_total{"reason": "unreachable"}': 1,
        "riti_leader": 1,
    }
    assert {name: figures[name] for name in expected} == expected
    assert figures["process_resident_memory_bytes"] > 0


def test_two_controllers_in_one_process_do_not_share_figures() -> None:
    one, other = Metrics(), Metrics()
    one.leader.set(1)
    assert other.registry.get_sample_value("riti_leader") == 0


def test_the_server_ends_while_an_asker_is_slow_and_its_port_is_free_again(served: Served) -> None:
    web = Web(served.wakeups, served.board, served.metrics, dict, "main", lambda *_: None)
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as free:
        wanted = free.getsockname()[1]
    with listen(web, "127.0.0.1", wanted, BODY_LIMIT, served.said.append) as port:
        slow = socket.create_connection(("127.0.0.1", port), timeout=20)
        slow.sendall(b"POST /hook/github HTTP/1.1\r\nContent-Length: 10\r\n")
        idle = socket.create_connection(("127.0.0.1", port), timeout=20)
        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=20).ok
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
    assert set(threading.enumerate()) == before
    with listen(web, "127.0.0.1", port, BODY_LIMIT, served.said.append) as again:
        assert again == port
    slow.close()
    idle.close()


def test_an_address_that_is_taken_is_said(served: Served) -> None:
    with (
        pytest.raises(RitiError, match=f"cannot listen at 127.0.0.1, port {served.port}"),
        listen(Web, "127.0.0.1", served.port, BODY_LIMIT, print),
    ):
        pass


def test_an_application_that_breaks_is_told_to_the_journal_only(served: Served) -> None:
    def broken(environ, start_response):
        raise ValueError("a bug")

    said: list[str] = []
    with listen(broken, "127.0.0.1", 0, BODY_LIMIT, said.append) as port:
        answer = requests.get(f"http://127.0.0.1:{port}/", timeout=20)
    assert answer.status_code == 500 and "a bug" not in answer.text and "a bug" in "".join(said)


def test_settings_name_their_secrets_by_variable_or_file(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"{SECRET}\n\nanother-secret-of-one\n")
    given = {"RITI_LISTEN": "0.0.0.0:8300", "RITI_HOOK_GITHUB": SECRET, "RITI_HOOK_GITEA_FILE": str(file)}
    settings = read_web_settings(given)
    assert isinstance(settings, WebSettings)
    assert (settings.host, settings.port) == ("0.0.0.0", 8300)
    assert settings.read_secrets() == {"github": (SECRET,), "gitea": (SECRET, "another-secret-of-one")}
    file.write_text("a-third-secret-of-length")
    assert settings.read_secrets()["gitea"] == ("a-third-secret-of-length",)
    file.unlink()
    with pytest.raises(RitiError, match="cannot be read"):
        settings.read_secrets()
    assert SECRET not in repr(settings)
    assert read_web_settings({}) is None
    v6 = read_web_settings({"RITI_LISTEN": "[::1]:1"})
    assert v6 is not None and v6.host == "::1"


def test_all_that_is_wrong_with_the_settings_is_said_without_a_secret(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    given = {
        "RITI_LISTEN": "everywhere",
        "RITI_HOOK_GITHUB": "short-one",
        "RITI_HOOK_GITEA_FILE": str(empty),
        "RITI_HOOK_GITLAB": "whsec_not-base-64-at-all",
    }
    with pytest.raises(RitiError) as caught:
        read_web_settings(given)
    assert [problem.what.split(" ", 1)[0] for problem in caught.value.problems] == [
        "RITI_LISTEN",
        "RITI_HOOK_GITHUB",
        "RITI_HOOK_GITEA_FILE",
        "RITI_HOOK_GITLAB",
    ]
    assert "short-one" not in str(caught.value) and "not-base" not in str(caught.value)
    both = {"RITI_LISTEN": "x:1", "RITI_HOOK_GITHUB": SECRET, "RITI_HOOK_GITHUB_FILE": "/x"}
    with pytest.raises(RitiError, match="both set"):
        read_web_settings(both)
