"""The controller's figures for Prometheus, in a registry of their own."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

UNIT_STATES = ("unchanged", "changed", "held", "paused", "failed", "down")
_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600)  # from a quiet cycle to a rollout in waves


class Metrics:
    """Each attribute is a figure; names and labels are what dashboards and alerts rely on.

    Of no figure are there more than a handful of label values, whatever the number of boxes.
    """

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        ProcessCollector(registry=own)
        self.cycles = Counter("riti_cycles", "Cycles of the loop", ["outcome"], registry=own)
        self.cycle_seconds = Histogram(
            "riti_cycle_seconds", "Length of a cycle", buckets=_SECONDS, registry=own
        )
        self.wakes = Counter("riti_wakes", "What woke the loop", ["reason"], registry=own)
        self.units = Gauge("riti_units", "PBXes and lighthouses in the last cycle", ["state"], registry=own)
        self.applied_at = Gauge(
            "riti_last_applied_timestamp_seconds", "When a commit was last applied whole", registry=own
        )
        self.applied = Info("riti_applied", "The commit that was last applied whole", registry=own)
        self.drift_healed = Counter(
            "riti_drift_healed", "Units put back after a change by hand", registry=own
        )
        self.fetch_failures = Counter(
            "riti_fetch_failures", "Fetches of the fleet's repository that failed", ["reason"], registry=own
        )
        self.watch_failures = Counter("riti_watch_failures", "Watches broken off", ["watch"], registry=own)
        self.hooks = Counter("riti_hooks", "Requests of forges", ["forge", "judgement"], registry=own)
        self.told = Counter(
            "riti_told",
            "Statuses and notifications: sent, tried in vain, given up",
            ["channel", "outcome"],
            registry=own,
        )
        self.leader = Gauge("riti_leader", "1 where this instance leads", registry=own)

    def set_units(self, counts: Mapping[str, int]) -> None:
        """How many units are in each of UNIT_STATES; a state that is not named has none."""
        for state in UNIT_STATES:
            self.units.labels(state).set(counts.get(state, 0))

    def note_applied(self, commit: str, at_s: float) -> None:
        """A commit was applied whole; at_s is seconds since 1970."""
        self.applied_at.set(at_s)
        self.applied.info({"commit": commit})
