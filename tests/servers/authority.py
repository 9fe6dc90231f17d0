"""Certificates of an authority that a test makes for itself."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Pem:
    """Files of one who can show who they are: the authority, a certificate that it signed, the key."""

    ca: Path
    cert: Path
    key: Path


def signed_by_one_of_its_own(folder: Path) -> Pem:
    """A new authority and a certificate of it, in this directory."""
    folder.mkdir(parents=True)
    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority of {folder.name}")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dask")])
    rights = x509.BasicConstraints(ca=True, path_length=0)
    found = Pem(folder / "ca.crt", folder / "tls.crt", folder / "tls.key")
    for path, subject, key, extension in (
        (found.ca, root, authority, rights),
        (found.cert, name, own, x509.BasicConstraints(ca=False, path_length=None)),
    ):
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_BEGIN)
            .not_valid_after(_BEGIN.replace(year=2099))
            .add_extension(extension, critical=True)
            .sign(authority, hashes.SHA256())
        )
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    found.key.write_bytes(own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return found
