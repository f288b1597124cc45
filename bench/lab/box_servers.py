"""All that boxes need of servers, without Nomad and Docker: Consul, OpenBao, and the gateway before them.

They can be stopped and started again with what they held, as in an outage; and the most memory is known of each.
"""

from __future__ import annotations

import re
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

from ritilib.clients.consul import Consul
from ritilib.clients.settings import NOBODY, Server, Settings
from ritilib.clients.vault import KV_MOUNT, TRANSIT_MOUNT, Vault
from ritilib.clients.vault_pki import Pki
from ritilib.devstack.folders import find_cache
from ritilib.devstack.images.gateway.debian import unpack_haproxy, write_command
from ritilib.devstack.machine.setup import Programs, set_up
from ritilib.devstack.processes import Process, end_process, start_process, wait_until
from ritilib.devstack.record import LOOPBACK, Record, choose_ports, find_log, new_record
from ritilib.devstack.servers import consul, vault
from ritilib.devstack.servers.certificates import VAULT_NAME, Certificates
from ritilib.fleet.gateway_file import Gateway
from ritilib.render.gateway import OWN_AUTHORITIES, render_proxy
from ritilib.render.names import EnrollmentNames
from ritilib.sync.enroll.prepare import prepare_enrollment
from ritilib.sync.lead.rights import Rights

FLEET, FLEET_ID = "crowd", "6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11"
DEADLINE_S, END_S, TIMEOUT_S = 60.0, 60.0, 30.0
MOST_FILES = 65_536  # a connection of each of 10,000 boxes is held by Consul, and by the boxes' process
SLOT = 249  # of no stack: the certificates have an address of it


@dataclass
class BoxServers:
    """address: the gateway's. peak_mb: the most resident memory of each program until it was last stopped."""

    state: Path
    record: Record
    programs: Programs
    haproxy: list[str]
    ports: dict[str, int] = field(default_factory=lambda: choose_ports(("https", "figures")))
    running: dict[str, Process] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"https://{LOOPBACK}:{self.ports['https']}"

    @property
    def certificates(self) -> Certificates:
        return vault.find_certificates(self.record, self.state)

    def as_who(self, consul_token: str, vault_token: str) -> Settings:
        """Both servers, past the gateway, with these tokens."""
        return Settings(
            NOBODY,
            Server(self.record.consul_address, consul_token),
            Server(self.record.vault_address, vault_token),
        )

    @property
    def management(self) -> Settings:
        return self.as_who(self.record.consul_token, self.record.vault_token)

    def start(self) -> None:
        """Consul and OpenBao, as new or with what they held; returns when both answer."""
        self.running["consul"] = consul.start_consul(self.programs.consul, self.record, self.state)
        self.running["vault"] = vault.start_vault(self.programs.bao, self.record, self.state)
        self.record.processes |= self.running
        consul.prepare_consul(self.record, self.state)
        vault.prepare_vault(self.record, self.state)

    def stop(self) -> None:
        """All of them, the gateway first."""
        self.note_memory()
        for name in ("gateway", "vault", "consul"):
            end_process(self.running.pop(name, None), END_S)

    def note_memory(self) -> None:
        for name, process in self.running.items():
            with suppress(FileNotFoundError):
                self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), read_peak_mb(process.pid))

    def prepare(self, report: Callable[[str], None]) -> None:
        """What bootstrap makes in both servers for a fleet's enrollment."""
        own, held = Consul(self.management), Vault(self.management)
        held.enable_kv(KV_MOUNT)
        held.enable_transit(TRANSIT_MOUNT)
        prepare_enrollment(own, held, FLEET, FLEET_ID, report)
        own.write(EnrollmentNames(FLEET).blocked, b"[]\n", 0)

    def make_leader(self) -> Settings:
        """Tokens with a leader's rights, and no others."""
        own, held, rights = Consul(self.management), Vault(self.management), Rights(FLEET)
        own.put_policy(rights.leader, rights.consul_leader(), f"riti {FLEET_ID} leader")
        held.put_policy(rights.leader, rights.vault_leader())
        consul_token = own.create_token((rights.leader,), "leader")
        return self.as_who(consul_token, held.create_token((rights.leader,), "leader"))

    def start_gateway(self) -> None:
        """HAProxy as `riti gateway job` has it, at the same address as before; returns when it is ready."""
        said = {
            "addresses": [self.address],
            "consul": [self.record.consul_address],
            "vault": [self.record.vault_gateway_address],
            "vault_name": VAULT_NAME,
            "ca": self.certificates.authority.read_text(),
            "address_requests_per_s": 100_000,  # all boxes have the address of this machine, as no others have
        }
        secrets = self.state / "gateway"
        secrets.mkdir(exist_ok=True)
        root = Pki(Vault(self.management), EnrollmentNames(FLEET).pki_mount).read_root()
        (secrets / "boxes.pem").write_text(root)
        (secrets / "gateway.pem").write_text(self.certificates.gateway.read_text())
        (secrets / "vault.pem").write_text(self.certificates.client.read_text())
        proxy = render_proxy(FLEET, Gateway.model_validate(said)).replace("/secrets/", f"{secrets}/")
        written = secrets / "haproxy.cfg"
        written.write_text(proxy.replace(OWN_AUTHORITIES, str(self.certificates.authority)))
        listen = {
            "RITI_LISTEN": f"{LOOPBACK}:{self.ports['https']}",
            "RITI_FIGURES": f"{LOOPBACK}:{self.ports['figures']}",
        }
        log = find_log(self.state, "gateway")
        process = start_process([*self.haproxy, "-db", "-f", str(written)], log, listen)
        self.running["gateway"] = process
        wait_until(self._is_ready, DEADLINE_S, "waiting for the gateway", log, process)

    def _is_ready(self) -> bool:
        try:
            url = f"http://{LOOPBACK}:{self.ports['figures']}/readyz"
            return requests.get(url, timeout=TIMEOUT_S).status_code == 200
        except requests.ConnectionError:
            return False


@contextmanager
def hold_servers(report: Callable[[str], None]) -> Iterator[BoxServers]:
    """Consul and OpenBao, up and prepared, in a folder of their own that is gone at the end; no gateway yet."""
    allow_files()
    with tempfile.TemporaryDirectory(prefix="riti-bench.") as folder:
        state = Path(folder)
        (state / "logs").mkdir()
        record = new_record()
        record.slot = SLOT
        cache = find_cache()
        haproxy = write_command(unpack_haproxy(cache / "images", report))
        servers = BoxServers(state, record, set_up(cache, report), haproxy)
        try:
            servers.start()
            servers.prepare(report)
            yield servers
        finally:
            servers.stop()


def allow_files() -> None:
    """Let this process and those that it starts open MOST_FILES, or as many as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else max(MOST_FILES, most)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (ValueError, PermissionError):  # more than it was given is root's to take
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def read_peak_mb(pid: int) -> float:
    """The most resident memory that a process ever had, in MB (VmHWM; the kernel counts in KiB)."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0
