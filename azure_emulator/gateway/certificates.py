"""A throw-away certificate authority, and a certificate for each host name on the fly."""

from __future__ import annotations

import datetime as dt
import os
import re
import ssl
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")  # becomes a file name
_PEM = serialization.Encoding.PEM


class Certificates:
    """The authority in ``folder``: the SDK's process trusts ``ca.pem``; ``hosts/`` caches the certificates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority_path = folder / "ca.pem"
        (folder / "hosts").mkdir(parents=True, exist_ok=True)
        self._contexts: dict[str, ssl.SSLContext] = {}

    def path(self, host: str) -> Path:
        """Return the file with the certificate and private key of ``host``."""
        path = self._folder / "hosts" / f"{host}.pem"
        if not path.exists():
            _write_secret(path, self._issue(host))
        return path

    def choose(self, connection: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
        """Present the certificate of the requested host; an ``SSLContext.sni_callback``."""
        if host and _HOST.fullmatch(host):
            if host not in self._contexts:
                self._contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._contexts[host].load_cert_chain(self.path(host))
            connection.context = self._contexts[host]

    @cached_property
    def _authority(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key_path = self._folder / "ca.key"
        if self.authority_path.exists() and key_path.exists():
            key = serialization.load_pem_private_key(key_path.read_bytes(), None)
            if isinstance(key, ec.EllipticCurvePrivateKey):
                return x509.load_pem_x509_certificate(self.authority_path.read_bytes()), key
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Azure emulator (throw-away, this machine only)")
        certificate = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write_secret(key_path, _private(key))
        self.authority_path.write_bytes(certificate.public_bytes(_PEM))
        return certificate, key

    def make_authority(self) -> None:
        """Create the authority unless it exists, so that clients can trust ``authority_path``."""
        _ = self._authority

    def _issue(self, host: str) -> bytes:
        authority, authority_key = self._authority
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name(host[:64]), authority.subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .sign(authority_key, hashes.SHA256())
        )
        return _private(key) + certificate.public_bytes(_PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    today = dt.datetime.now(dt.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=365))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    # Python 3.13 checks strictly: an authority must say that it may sign certificates.
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _write_secret(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    partial.replace(path)
