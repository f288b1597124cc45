"""What a fleet needs of Consul and Vault before its first box can enroll; again without harm."""

from __future__ import annotations

from collections.abc import Callable

from ritilib.clients.protocols import ConsulClient, VaultClient
from ritilib.clients.vault import TRANSIT_MOUNT
from ritilib.clients.vault_logins import CertificateLogin, TokenIssuer
from ritilib.clients.vault_pki import Pki
from ritilib.clients.vault_signing import SigningKey
from ritilib.enroll.claim import name_audience
from ritilib.render.names import EnrollmentNames

PKI_ROLE = "box"
UNIT_CLAIM = "unit"
IDENTITY_HOURS = 30 * 24  # as the overlay's certificate: both are renewed together
CLAIM_TOKEN_S = 15 * 60  # a box's join takes seconds; whoever is later logs in again
BOX_TOKEN_S = 3600  # DESIGN: no token of a box lives longer
OIDC_TOKEN_S = 15 * 60  # it is used at once, for one login


def prepare_enrollment(
    consul: ConsulClient, vault: VaultClient, fleet: str, fleet_id: str, report: Callable[[str], None]
) -> None:
    """Prepare both servers; the clients have management tokens.

    Raises Conflict where a name that the fleet needs belongs to somebody else, and Unreachable, Denied or ServerError.
    """
    names, description = EnrollmentNames(fleet), f"riti {fleet_id} enrollment"
    report("Vault: claims, the boxes' certificates and logins")
    key = SigningKey(vault, names.claim_key)
    key.create()
    vault.put_policy(names.claims_policy, write_claims_policy(names))
    pki = Pki(vault, names.pki_mount)
    pki.enable()
    pki.make_root(f"{fleet} boxes")
    pki.put_role(PKI_ROLE, f"{fleet}--*", IDENTITY_HOURS)
    CertificateLogin(vault, names.cert_mount).enable()
    issuer, audience = TokenIssuer(vault), name_box_audience(fleet_id)
    issuer.put_key(names.oidc_key, audience)
    issuer.put_role(names.oidc_role, names.oidc_key, audience, names.cert_mount, UNIT_CLAIM, OIDC_TOKEN_S)
    report("Consul: the boxes' logins")
    consul.put_auth_method(
        names.claim_method,
        {"JWTValidationPubKeys": list(key.read_public_keys()), **_describe_tokens(name_audience(fleet_id))},
        description,
        CLAIM_TOKEN_S,
    )
    url, ca = issuer.find_keys()
    consul.put_auth_method(
        names.box_method,
        {"JWKSURL": url, **({"JWKSCACert": ca} if ca else {}), **_describe_tokens(audience)},
        description,
        BOX_TOKEN_S,
    )
    # the methods tell fleets apart by their audiences; who may sign for one of them must not name another's box
    own = f'value.{UNIT_CLAIM} matches "^{fleet}--"'
    for method, kind in ((names.claim_method, "enroll"), (names.box_method, "box")):
        consul.put_binding_rule(method, "role", f"{kind}-${{value.{UNIT_CLAIM}}}", own, description)


def name_box_audience(fleet_id: str) -> str:
    """Whom the tokens are for that Vault signs for this fleet's boxes: its Consul."""
    return f"riti-box:{fleet_id}"


def write_claims_policy(names: EnrollmentNames) -> str:
    """What an operator needs in Vault for `riti box claim`."""
    return (
        f'path "{TRANSIT_MOUNT}/sign/{names.claim_key}" {{\n  capabilities = ["update"]\n}}\n\n'
        f'path "{TRANSIT_MOUNT}/keys/{names.claim_key}" {{\n  capabilities = ["read"]\n}}\n'
    )


def _describe_tokens(audience: str) -> dict[str, object]:
    return {
        "JWTSupportedAlgs": ["ES256"],
        "BoundAudiences": [audience],
        "ClaimMappings": {UNIT_CLAIM: UNIT_CLAIM},
    }
