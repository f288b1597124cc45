"""The rows of the fault matrix, as issue and page (docs/faults.md) name them; each has one test or several."""

REPOSITORY = (
    "failed clone and fetch",
    "emptied repository",
    "manifest missing, truncated, or not matching its files",
    "a file that no longer parses",
    "force-push and rewritten history",
)
HANDS = (
    "job edited, stopped, purged, or its mark stripped by hand",
    "a foreign job with our name",
    "two fleets in one cluster, one company's name a prefix of another's",
    "periodic and dispatched children",
)
CONTROLLERS = (
    "lock lost while writing",
    "paused controller waking up behind a new leader",
    "two controllers started at once",
    "kill -9 after each write of a 20-box sync",
    "clock jump",
    "disk full",
    "a spec whose task fails",
    "mass deletion by an honest commit",
)
SERVERS = (
    "Consul without a leader, restarted, slow, 500s, wrong token, KV partly unreadable",
    "Nomad without a leader, restarted, slow, 500s, wrong token",
    "Vault sealed, token expired mid-run",
    "Consul restored from an older snapshot, its inventory lost, tokens deleted",
    "Consul, Vault, Nomad's servers each away 15 minutes with calls up",
    "offline office during a rollout",
    "a PBX on an old image when its new configuration arrives",
    "an allocation that loses its servers, is replaced, and comes back",
    "1,000 boxes of which 10 always fail",
    "300 PBX watches from one host against Consul's limit",
)
ROWS = REPOSITORY + HANDS + CONTROLLERS + SERVERS
