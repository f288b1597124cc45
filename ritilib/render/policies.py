"""What a box may do in Consul and Vault: while it enrolls, and when it is in. Each reaches its own things alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ritilib.render.names import EnrollmentNames, UnitNames

CONSUL_POLICY, VAULT_POLICY = "box/consul-policy.hcl", "box/vault-policy.hcl"


def render_box_policies(names: UnitNames) -> dict[str, str]:
    """path below rendered/<company>/<box>/ → text: the rights of the box, once it is bound."""
    fleet = EnrollmentNames(names.fleet)
    keys = {
        names.box_kv_key: "read",
        fleet.blocked: "read",
        names.generation: "read",  # where its PBX is, of its pair of addresses
        names.box_image: "read",
        names.box_word: "write",
        names.box_report: "write",
        names.box_generation: "write",
        names.enroll_request: "write",  # for renewals
        names.enroll_reply: "read",
    }
    service = _write_rules(
        "service", {names.box_role: "write"}
    )  # its check, by which Consul knows that it lives
    paths = {
        names.box_vault_path: ["read"],
        f"identity/oidc/token/{fleet.oidc_role}": ["read"],
        "auth/token/revoke-self": ["update"],
    }
    return {
        CONSUL_POLICY: f"{_write_rules('key', keys)}\n{service}",
        VAULT_POLICY: "\n".join(_write_path(path, rights) for path, rights in paths.items()),
    }


def write_enroll_policy(names: UnitNames) -> str:
    """The rights of a claim's token in Consul: its request, and the reply to it."""
    return _write_rules("key", {names.enroll_request: "write", names.enroll_reply: "read"})


def _write_rules(kind: str, rules: Mapping[str, str]) -> str:
    return "\n".join(f'{kind} "{name}" {{\n  policy = "{right}"\n}}\n' for name, right in rules.items())


def _write_path(path: str, rights: Sequence[str]) -> str:
    listed = ", ".join(f'"{right}"' for right in rights)
    return f'path "{path}" {{\n  capabilities = [{listed}]\n}}\n'
