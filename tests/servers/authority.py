"""Certificates of an authority that a test makes for itself; keys are PKCS 1, which the oldest reader takes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

_BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Pem:
    """Files of one who can show who they are: the authority, a certificate that it signed, the key."""

    ca: Path
    ca_key: Path
    cert: Path
    key: Path


def signed_by_one_of_its_own(folder: Path, *, authority: str | None = None, name: str = "dask") -> Pem:
    """A new authority and a certificate of it, in this directory; each holds for the DNS name that it is called by."""
    folder.mkdir(parents=True)
    root = authority or f"authority-of-{folder.name}"
    signing, own = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    found = Pem(folder / "ca.crt", folder / "ca.key", folder / "tls.crt", folder / "tls.key")
    for path, subject, key, rights in (
        (found.ca, root, signing, x509.BasicConstraints(ca=True, path_length=0)),
        (found.cert, name, own, x509.BasicConstraints(ca=False, path_length=None)),
    ):
        made = (
            x509.CertificateBuilder()
            .subject_name(_called(subject))
            .issuer_name(_called(root))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_BEGIN)
            .not_valid_after(_BEGIN.replace(year=2099))
            .add_extension(rights, critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
            .sign(signing, hashes.SHA256())
        )
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    for path, key in ((found.ca_key, signing), (found.key, own)):
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain))
    return found


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
