"""Nomad's event stream, as it tells which jobs were registered, changed or stopped, or whose deployment has failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from ritilib.clients.session import refused, unreachable
from ritilib.clients.settings import Settings
from ritilib.clients.watching import WatchSession

SILENCE_S = 35.0  # Nomad sends a heartbeat every 10 s (Nomad 1.10: command/agent/event_endpoint.go)
_ASKED = "follow jobs"
_TOKEN_VARIABLE = "NOMAD_TOKEN"


@dataclass(frozen=True)
class JobEvents:
    """What one line of the stream says: Nomad's index, and the jobs that changed at it, or did not come up (none: a
    heartbeat, index 0)."""

    index: int
    job_ids: tuple[str, ...]


class NomadEvents:
    """The stream of one Nomad, with one token (it needs read-job in the namespace)."""

    def __init__(self, settings: Settings, session: WatchSession) -> None:
        self._server = settings.nomad
        self._session = session

    def follow_jobs(self, index: int, namespace: str = "default") -> Iterator[JobEvents]:
        """What Nomad tells from this index on, line by line, for as long as the connection lasts.

        Nomad remembers some events only (100 by default) and goes on with the oldest it has: who comes back after a
        gap must look at the jobs themselves. Raises Denied, ServerError, and Unreachable when the stream ends or is
        silent for SILENCE_S.
        """
        with self._explained(), self._open(index, namespace) as answer:
            if answer.status_code != 200:
                raise refused(
                    "Nomad", self._server.address, _ASKED, answer.status_code, answer.text, _TOKEN_VARIABLE
                )
            for line in answer.iter_lines(chunk_size=1 << 16):
                if line:
                    yield read_line(line)
            raise requests.ConnectionError("the stream ended")

    def _open(self, index: int, namespace: str) -> requests.Response:
        # no allocations: one line of them is a whole allocation, and a fleet has tens of thousands in a rollout
        params = {"topic": ["Job", "Deployment"], "index": str(index), "namespace": namespace}
        headers = {"X-Nomad-Token": self._server.token}
        url = f"{self._server.address}/v1/event/stream"
        return self._session.get(url, params=params, headers=headers, stream=True, timeout=SILENCE_S)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise unreachable("Nomad", self._server.address, _ASKED, error) from error


def read_line(line: bytes) -> JobEvents:
    """One line of the stream; ValueError, KeyError or TypeError where it is none."""
    told = json.loads(line)
    events = told.get("Events") or ()
    job_ids = {event["Key"] for event in events if event["Topic"] == "Job"}
    deployments = (event["Payload"]["Deployment"] for event in events if event["Topic"] == "Deployment")
    job_ids |= {one["JobID"] for one in deployments if one["Status"] == "failed"}
    return JobEvents(int(told.get("Index", 0)), tuple(sorted(job_ids)))
