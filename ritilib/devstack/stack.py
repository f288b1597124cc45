"""The whole stack: up, status, one server stopped and started, down."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ritilib.devstack.claims import Shared, claim_slot, hold_lock, open_shared, release_slot
from ritilib.devstack.folders import find_cache
from ritilib.devstack.machine.setup import Programs, set_up
from ritilib.devstack.network import (
    add_public_interface,
    forget_addresses,
    read_footprint,
    remove_interface,
    remove_rules,
    restore_footprint,
    unmount_below,
)
from ritilib.devstack.processes import end_process, is_running
from ritilib.devstack.record import (
    SERVERS,
    Record,
    find_log,
    is_free,
    new_record,
    read_record,
    write_record,
)
from ritilib.devstack.servers import consul, nomad, vault
from ritilib.devstack.servers.certificates import Certificates
from ritilib.devstack.servers.dockerd import end_dockerd, find_docker, start_dockerd
from ritilib.errors import DevstackError

Report = Callable[[str], None]
END_S = 30.0


@dataclass(frozen=True)
class Stack:
    """A stack that is up. Addresses are URLs; tokens are the management tokens of each server."""

    state: Path
    slot: int
    nomad_address: str
    consul_address: str
    vault_address: str
    vault_gateway_address: str
    docker_host: str
    public_address: str
    public_interface: str
    bridge_name: str
    bridge_subnet: str
    programs: Programs
    certificates: Certificates
    nomad_token: str = field(repr=False)
    consul_token: str = field(repr=False)
    vault_token: str = field(repr=False)

    @property
    def name(self) -> str:
        """A short name that no other stack on this machine has: the label of what belongs to it."""
        return f"riti-{self.slot}"

    @property
    def nebula(self) -> Path:
        return self.programs.nebula

    @property
    def nebula_cert(self) -> Path:
        return self.programs.nebula_cert

    @property
    def jwks_url(self) -> str:
        """Where Consul and Vault fetch the keys by which Nomad signs workload identities."""
        return f"{self.nomad_address}/.well-known/jwks.json"

    def environment(self) -> dict[str, str]:
        """The variables that clients of these servers read."""
        return {
            "NOMAD_ADDR": self.nomad_address,
            "NOMAD_TOKEN": self.nomad_token,
            "CONSUL_HTTP_ADDR": self.consul_address,
            "CONSUL_HTTP_TOKEN": self.consul_token,
            "VAULT_ADDR": self.vault_address,
            "VAULT_TOKEN": self.vault_token,
            "DOCKER_HOST": self.docker_host,
            "RITI_NEBULA_CERT": str(self.programs.nebula_cert),
            "RITI_PUBLIC_ADDR": self.public_address,
            "RITI_JWKS_URL": self.jwks_url,
        }


@dataclass(frozen=True)
class ServerStatus:
    """One row of `riti dev status`; state is "ready", "running" (not ready yet, or no more) or "stopped"."""

    server: str
    state: str
    pid: int
    address: str
    log: str


def up(state: Path, report: Report, drivers: Sequence[str] = ("docker",)) -> Stack:
    """Set the machine up, start what does not run, and return when every server does its work.

    drivers are those by which a Nomad that is started here runs tasks: with raw_exec any job is root on this machine.
    On a running stack: harmless, and repairs what has died. DevstackError where the machine lacks something
    or a server does not come up, with the end of its log.
    """
    state = state.absolute()
    cache = find_cache()
    programs = set_up(cache, report)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    (state / "logs").mkdir(exist_ok=True)
    with hold_lock(state / "lock"):
        record = read_record(state) or new_record()
        record.drivers = list(drivers)
        with open_shared(cache) as shared:
            record.slot = claim_slot(shared, state).number
            record.programs = dict(vars(programs))
            if shared.before is None:
                shared.before = read_footprint()
            write_record(state, record)
            record.docker_host = find_docker(cache) or _start_docker(programs, cache, shared, report)
        add_public_interface(record.network)
        for server in ("consul", "vault"):
            _spawn(server, record, state, programs, report)
        _build_images(record.docker_host, programs.for_images(), cache, report)
        consul.prepare_consul(record, state)
        vault.prepare_vault(record, state)
        _spawn("nomad", record, state, programs, report)
        nomad.prepare_nomad(record, state)
        write_record(state, record)
    return _describe(record, state)


def find_stack(state: Path) -> Stack:
    """The running stack of this folder; DevstackError where none runs."""
    state = state.absolute()
    record = read_record(state)
    if record is None or not record.processes:
        raise DevstackError.because(f"no stack runs in {state}", "start one: riti dev up")
    return _describe(record, state)


def environment(state: Path) -> dict[str, str]:
    """NOMAD_ADDR, NOMAD_TOKEN and the like, of the running stack."""
    return find_stack(state).environment()


def status(state: Path) -> list[ServerStatus]:
    """One row for each server, in the order of starting; no rows where there never was a stack."""
    state = state.absolute()
    record = read_record(state)
    if record is None:
        return []
    checks = {"consul": consul.is_ready, "vault": vault.is_ready, "nomad": nomad.is_ready}
    addresses = {
        "consul": record.consul_address,
        "vault": record.vault_address,
        "nomad": record.nomad_address,
    }
    rows = []
    for server in SERVERS:
        process = record.processes.get(server)
        runs = is_running(process)
        word = "stopped" if not runs else "ready" if checks[server](record) else "running"
        pid = process.pid if process is not None and runs else 0
        rows.append(ServerStatus(server, word, pid, addresses[server], str(find_log(state, server))))
    return rows


def stop_server(state: Path, server: str, report: Report = lambda _: None) -> None:
    """End one server ("consul", "vault", "nomad") and leave the rest: an outage. Its data stay."""
    state = state.absolute()
    with hold_lock(state / "lock"):
        record = _need_record(state, server)
        report(f"stopping {server}")
        end_process(record.processes.get(server), END_S)


def start_server(state: Path, server: str, report: Report = lambda _: None) -> None:
    """Start one server again on its data, and return when it is ready."""
    state = state.absolute()
    with hold_lock(state / "lock"):
        record = _need_record(state, server)
        _spawn(server, record, state, _read_programs(record), report)
        prepare = {
            "consul": consul.prepare_consul,
            "vault": vault.prepare_vault,
            "nomad": nomad.prepare_nomad,
        }
        prepare[server](record, state)


def down(state: Path, report: Report, purge: bool = False) -> None:
    """End exactly what `up` started: jobs, servers, interfaces, rules, mounts, and Docker where it is ours.

    Data, tokens and logs stay for the next `up`, unless purge. A Docker daemon that another stack still
    uses is left to it.
    """
    state = state.absolute()
    if not state.is_dir():
        return
    cache = find_cache()
    with hold_lock(state / "lock"):
        record = read_record(state)
        if record is not None:
            _end(record, state, cache, report)
        if purge:
            report(f"removing the data in {state}")
            for name in (*SERVERS, "logs", "stack.json"):
                _remove(state / name)


def _end(record: Record, state: Path, cache: Path, report: Report) -> None:
    if record.processes:  # else the slot, and with it the offices' label, may be another stack's by now
        from ritilib.devstack.guests import end_guests  # Docker's library comes with the dev extra only

        end_guests(record, f"riti-{record.slot}", report)
    allocations: set[str] = set()
    if record.processes:
        report("stopping jobs")
        allocations = nomad.list_allocations(record, state)
        nomad.stop_jobs(record, state)
    for server in reversed(SERVERS):
        if is_running(record.processes.get(server)):
            report(f"stopping {server}")
        end_process(record.processes.get(server), END_S)
    unmount_below(state)
    with open_shared(cache) as shared:
        held = any(claim.state == state for claim in shared.claims.values())
        record.processes = {}
        write_record(state, record)
        if not held:
            return
        remove_rules({record.network.bridge_name, *allocations}, record.network.bridge_subnet)
        forget_addresses(record.network.bridge_subnet)
        remove_interface(record.network.bridge_name)
        remove_interface(record.network.public_interface)
        if release_slot(shared, state):
            own_docker = is_running(shared.dockerd)
            if own_docker:
                report("stopping Docker's daemon")
                end_dockerd(cache, shared)
            if shared.before is not None:
                restore_footprint(shared.before, with_docker=own_docker)
                shared.before = None


def _build_images(docker_host: str, programs: Mapping[str, Path], cache: Path, report: Report) -> None:
    # here, not above: it needs the docker library, which an install without the extra "dev" lacks
    from ritilib.devstack.images import build_images
    from ritilib.devstack.images.gateway import build_gateway

    build_images(docker_host, programs, cache, report)
    build_gateway(docker_host, cache, report)


def _start_docker(programs: Programs, cache: Path, shared: Shared, report: Report) -> str:
    if programs.dockerd is None:
        raise DevstackError.because("Docker's daemon went away", "start it, or: apt-get install docker.io")
    return start_dockerd(programs.dockerd, cache, shared, report)


def _spawn(server: str, record: Record, state: Path, programs: Programs, report: Report) -> None:
    """Start one server unless it runs, and remember it at once."""
    if is_running(record.processes.get(server)):
        return
    taken = [port for name, port in record.ports.items() if name.startswith(server) and not is_free(port)]
    if taken:
        raise DevstackError.because(
            f"{server}'s port {taken[0]} on loopback is taken by another program",
            "end that program, or give up this stack's data: riti dev down --purge",
        )
    report(f"starting {server}")
    match server:
        case "consul":
            process = consul.start_consul(programs.consul, record, state)
        case "vault":
            process = vault.start_vault(programs.bao, record, state)
        case _:
            process = nomad.start_nomad(programs.nomad, record, state, programs.cni)
    record.processes[server] = process
    write_record(state, record)


def _need_record(state: Path, server: str) -> Record:
    record = read_record(state) if state.is_dir() else None
    if server not in SERVERS:
        raise DevstackError.because(f"no server is called {server}", f"take one of: {', '.join(SERVERS)}")
    if record is None or not record.processes:
        raise DevstackError.because(f"no stack runs in {state}", "start one: riti dev up")
    return record


def _read_programs(record: Record) -> Programs:
    return Programs(**record.programs)  # type: ignore[arg-type]  # written from the same fields


def _describe(record: Record, state: Path) -> Stack:
    network = record.network
    return Stack(
        state=state,
        slot=record.slot,
        nomad_address=record.nomad_address,
        consul_address=record.consul_address,
        vault_address=record.vault_address,
        vault_gateway_address=record.vault_gateway_address,
        docker_host=record.docker_host,
        public_address=network.public_address,
        public_interface=network.public_interface,
        bridge_name=network.bridge_name,
        bridge_subnet=network.bridge_subnet,
        programs=_read_programs(record),
        certificates=vault.find_certificates(record, state),
        nomad_token=record.nomad_token,
        consul_token=record.consul_token,
        vault_token=record.vault_token,
    )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
