"""The Nomad job of the sync controller, from fleet.yaml alone: it stands in no manifest, and no sync applies it."""

from __future__ import annotations

from urllib.parse import urlsplit

from ritilib.fleet.controller_file import Controller
from ritilib.fleet.fleet_file import FleetFile
from ritilib.render.language import job_environment
from ritilib.render.names import ControllerNames

USER_ID = 10001  # of the image's own account
GIT_TOKEN, GIT_KEY = "git_token", "git_key"
MIRROR = "/alloc/data/mirror"  # what Nomad keeps for the next allocation
_SSH = (
    "ssh -F none -i /secrets/git_key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes"
    " -o UserKnownHostsFile=/local/known_hosts -o GlobalKnownHostsFile=none"
)


def render_controller(fleet: FleetFile, said: Controller) -> str:
    """The job in HCL. The same fleet gives the same bytes, and no secret stands in them."""
    return (
        job_environment()
        .get_template("controller/job.nomad.hcl.j2")
        .render(
            fleet=fleet,
            said=said,
            names=ControllerNames(fleet.name),
            user_id=USER_ID,
            env=list_variables(said),
            files={name: _write_secret(name, said) for name in said.secrets},
        )
    )


def list_variables(said: Controller) -> dict[str, str]:
    """What the task's environment says: addresses, and the files of tokens and secrets; no secret itself.

    Consul's token is the one that Nomad itself puts into the environment: its file is root's alone (Nomad 1.10.5,
    consul_hook.go), and both stay the same for as long as the allocation lives.
    """
    variables = {
        "HOME": "/local",
        "NOMAD_ADDR": said.nomad,
        "NOMAD_TOKEN_FILE": "/secrets/nomad_api.jwt",
        "CONSUL_HTTP_ADDR": said.consul,
        "VAULT_ADDR": said.vault,
        "VAULT_TOKEN_FILE": "/secrets/vault_token",
        "RITI_REMOTE": said.remote,
        "RITI_BRANCH": said.branch,
        "RITI_MIRROR": MIRROR,
        "RITI_POLL": str(said.poll_s),
        "RITI_LISTEN": "${NOMAD_ADDR_http}",
    }
    wishes = {
        "RITI_CREW": said.crew,
        "RITI_NOMAD_RATE": said.nomad_rate,
        "RITI_FORGE": said.forge,
        "RITI_FORGE_URL": said.forge_url,
    }
    variables |= {name: str(wish) for name, wish in wishes.items() if wish is not None}
    if said.ca:
        variables |= dict.fromkeys(("NOMAD_CACERT", "CONSUL_CACERT", "VAULT_CACERT"), "/local/ca.pem")
    if not said.remote.startswith("http"):
        variables["GIT_SSH_COMMAND"] = _SSH
    if GIT_TOKEN in said.secrets:
        # Git's own store would forget the token at the first refusal; what follows # is what Git adds
        variables |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"credential.{_find_origin(said.remote)}.helper",
            "GIT_CONFIG_VALUE_0": "!cat /secrets/git_token #",
        }
    given = [name for name in said.secrets if name not in (GIT_TOKEN, GIT_KEY)]
    return variables | {f"RITI_{name.upper()}_FILE": f"/secrets/{name}" for name in given}


def _write_secret(name: str, said: Controller) -> str:
    """What a secret's file says, in the language of Nomad's templates, where {{ . }} is the secret."""
    return f"username={said.user}\npassword={{{{ . }}}}" if name == GIT_TOKEN else "{{ . }}"


def _find_origin(remote: str) -> str:
    parts = urlsplit(remote)
    return f"{parts.scheme}://{parts.netloc}"
