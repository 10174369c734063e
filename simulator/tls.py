"""A certificate authority for one simulation, and a certificate for each host signed by it.

Keys live in memory and in a folder of their own that goes when the simulation ends.
"""

from __future__ import annotations

import ipaddress
import shutil
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE = timedelta(days=3650)


class Authority:
    """Signs for these addresses; `file` is what clients must trust."""

    def __init__(self, addresses: list[str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="simulated-pool-"))
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Simulated pool CA")])
        self._certificate = self._build(self._name, self._key.public_key(), None)
        self.file = self._folder / "ca.pem"
        self.file.write_bytes(pem(self._certificate))
        for address in addresses:
            self._issue(address)

    def context(self, address: str) -> ssl.SSLContext:
        """What a host's server presents."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / f"{address}.pem", self._folder / f"{address}.key")
        return context

    def discard(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _issue(self, address: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
        certificate = self._build(name, key.public_key(), address)
        (self._folder / f"{address}.pem").write_bytes(pem(certificate))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self._folder / f"{address}.key").write_bytes(private)

    def _build(self, name: x509.Name, public: ec.EllipticCurvePublicKey, address: str | None) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + LIFE)
        constraint = x509.BasicConstraints(ca=address is None, path_length=None)
        builder = builder.add_extension(constraint, critical=True)
        if address is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
