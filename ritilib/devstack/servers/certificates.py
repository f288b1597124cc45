"""The stack's own authority, and what it certified: the gateway towards boxes, the gateway towards Vault, Vault."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ritilib.devstack.folders import write_private

DAYS = 3650
VAULT_NAME = "vault.riti.internal"
GATEWAY_NAME = "gateway.riti.internal"


@dataclass(frozen=True)
class Certificates:
    """Files below one folder. Each PEM holds a certificate, then its key; the authority's key is not kept."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def vault(self) -> Path:
        """Of Vault's listener for the gateway."""
        return self.folder / "vault.pem"

    @property
    def gateway(self) -> Path:
        """By which boxes know the gateway."""
        return self.folder / "gateway.pem"

    @property
    def client(self) -> Path:
        """By which Vault's listener knows the gateway."""
        return self.folder / "client.pem"


def make_certificates(folder: Path, addresses: tuple[str, ...]) -> Certificates:
    """The files, made now where they are not there; addresses are those at which boxes reach the gateway."""
    made = Certificates(folder)
    if made.authority.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("riti dev")
    builder = _begin(subject, subject, key.public_key())
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    authority = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
    for path, name, purpose in (
        (made.vault, VAULT_NAME, server),
        (made.gateway, GATEWAY_NAME, server),
        (made.client, GATEWAY_NAME, client),
    ):
        write_private(path, _certify(authority, key, name, purpose, addresses))
    # last: where it is, all are
    write_private(made.authority, authority.public_bytes(Encoding.PEM).decode())
    return made


def _certify(
    authority: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    name: str,
    purpose: x509.ObjectIdentifier,
    addresses: tuple[str, ...],
) -> str:
    own = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName(name), *(x509.IPAddress(ip_address(address)) for address in addresses)]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    certificate = (
        _begin(_name(name), authority.subject, own.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (certificate.public_bytes(Encoding.PEM) + private).decode()


def _begin(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
