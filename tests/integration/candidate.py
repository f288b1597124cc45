"""A controller as a program of its own that leads and does nothing else, for tests/integration/test_lead.py.

Arguments: fleet, who. It takes the servers from its environment, leads, appends what it does to its standard output
as lines of JSON, and writes one key of Consul in a loop for as long as it leads.
"""

from __future__ import annotations

import json
import os
import sys
import time

from ritilib.clients.settings import read_settings
from ritilib.errors import LeadershipLost, RitiError
from ritilib.reconcile.leading import Timing
from ritilib.sync.lead.election import Candidate, connect_clients, take_lead

# the shortest that Consul grants
TIMING = Timing(ttl_s=10.0, renew_s=2.0, margin_s=3.0)


def tell(event: str, **more: object) -> None:
    print(json.dumps({"event": event, **more}), flush=True)


def main(fleet: str, who: str) -> None:
    candidate = Candidate(
        read_settings(os.environ), fleet, who, lambda words: tell("said", words=words), TIMING
    )
    tell("stands")
    with take_lead(candidate) as leadership:
        tokens = {name: one.token for name, one in vars(leadership.settings).items()}
        tell("leads", epoch=leadership.epoch, tokens=tokens)
        consul, key = connect_clients(leadership.settings).consul, f"riti/{fleet}/written/{who}"
        index, count = 0, 0
        try:
            while True:
                count += 1
                index = consul.write(key, str(count).encode(), index)
                time.sleep(0.02)  # a load like a sync's, so that the machine is not kept busy
        except LeadershipLost as error:
            tell("lost", words=str(error), written=count - 1)
        except RitiError as error:
            tell("failed", kind=type(error).__name__, words=str(error), written=count - 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
