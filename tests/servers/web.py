"""An https server over a dictionary of files, with a certificate of its own authority, made on the spot."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import ssl
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from servers.local import Handler, LocalServer

_HOME = TemporaryDirectory(prefix="certificates-")


@cache
def certificate() -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and localhost, which is its own authority, and its key; once per run."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start.replace(year=2099))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = Path(_HOME.name)
    folder.chmod(0o755)
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "ca.pem", folder / "key.pem"


class WebServer(LocalServer):
    """Files over https.

    `files` maps a path to bytes, `redirects` a path to an address, `token` is what a bearer has to show, `manners` say how
    it misbehaves.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.token: str | None = None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate())
        super().__init__(self._answer, tls=context)

    @property
    def authority(self) -> str:
        """What a client has to trust."""
        return str(certificate()[0])

    def _answer(self, request: Handler) -> None:
        path = request.asked.path
        if path in self.redirects:
            request.send(302, headers={"Location": self.redirects[path]})
        elif self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            request.send(403 if "Authorization" in request.headers else 401)
        elif path in self.files:
            data = self.files[path]
            request.send_file(data, f'"{hashlib.sha256(data).hexdigest()[:16]}"')
        else:
            request.send(404)
