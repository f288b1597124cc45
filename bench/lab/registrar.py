"""The controller's step that lets boxes in, as its service runs it (`python -m bench.lab.registrar`).

One JSON object comes in; a line goes out for each pass that did something, and the last one when the input ends.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from bench.lab.offices import make_desired
from bench.lab.servers import count_requests
from ritilib.clients.consul import Consul
from ritilib.clients.nebula import Authority, OverlayTool
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import NOBODY, Server, Settings
from ritilib.clients.vault import Vault
from ritilib.clients.watching import WatchSession
from ritilib.errors import RitiError
from ritilib.gitops.desired import Desired
from ritilib.sync.drift import Watch, follow_enrollment
from ritilib.sync.enroll.registry import Registry
from ritilib.sync.observe import Places
from ritilib.sync.service import CREW, ENROLL_S, PATIENCE_S
from ritilib.sync.unit.apply import Servers
from ritilib.sync.wake import Wakeups


def tell(**said: Any) -> None:
    print(json.dumps(said), flush=True)


def serve(given: dict[str, Any], wakeups: Wakeups) -> None:
    """Pass after pass, woken by Consul, until wakeups is closed."""
    settings = Settings(NOBODY, Server(*given["consul"]), Server(*given["vault"]))
    desired = make_desired(given["boxes"])
    tool, authority = OverlayTool(Path(given["nebula_cert"])), Authority(given["crt"], given["key"])
    crew = [
        Servers(Nomad(settings), Consul(settings), Vault(settings), tool, lambda: authority)
        for _ in range(CREW)
    ]
    registry = Registry(crew, desired.fleet, desired.fleet_id)
    session = WatchSession(settings.consul.verify)
    follow = partial(
        follow_enrollment,
        consul=Consul(settings, session),
        prefix=Places(desired.fleet).enrollment,
        wakeups=wakeups,
    )
    watch = Watch("enrollment", follow, session.abort, lambda name, error: tell(trouble=str(error)))
    watch.start()
    try:
        while not wakeups.is_closed:
            wakeups.wait(_step(registry, desired))
    finally:
        watch.stop()
        watch.join()


def _step(registry: Registry, desired: Desired) -> float:
    """One pass; seconds until the next."""
    try:
        step = registry.step(desired)
    except RitiError as error:
        tell(trouble=str(error))
        return ENROLL_S
    if step.done or step.problems:
        words = Counter(one.what.split(":")[0].split(" the key ")[0] for one in step.done)
        tell(
            done=words,
            alarms=sum(one.alarm for one in step.done),
            problems=[str(one) for one in step.problems],
        )
    return step.again_s if step.again_s is not None else PATIENCE_S


def wait_end(wakeups: Wakeups) -> None:
    """Until our input ends."""
    sys.stdin.read()
    wakeups.close()


def main() -> None:
    given, wakeups = json.loads(sys.stdin.readline()), Wakeups()
    threading.Thread(target=wait_end, args=(wakeups,), daemon=True).start()
    with count_requests() as count:
        serve(given, wakeups)
    own, tools = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    tell(
        requests=count.requests,
        peak_mb=own.ru_maxrss * 1024 / 1e6,
        cpu_s=own.ru_utime + own.ru_stime,
        tools_cpu_s=tools.ru_utime + tools.ru_stime,
    )


if __name__ == "__main__":
    main()
