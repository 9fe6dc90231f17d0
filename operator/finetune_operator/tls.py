"""The progress server's certificates: made and renewed here, because no cluster can be relied on to have a tool for it.

All replicas share one authority, whose key lies in a Secret of the operator's own namespace; each replica makes its own
short-lived certificate in memory. Pods trust the authorities that stand in a ConfigMap of their namespace. A successor
stands there for a quarter of the authority's life before it signs anything, and the one before it until it expires, for another
replica may learn of the change an hour later: so no pod ever meets a signer it does not know.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from finetune_api.errors import ClusterError, Conflict, NotFound, Taken
from finetune_operator.kinds import CONFIG_MAP, SECRET, Manifest, Ref

AUTHORITY_LIFE = timedelta(days=730)
CERTIFICATE_LIFE = timedelta(days=30)
_LOOK_SECONDS = 3600.0
_TRUST_SECONDS = 600.0
"""How long a namespace's ConfigMap is believed to be as it was left."""
_BACKDATED = timedelta(minutes=5)
"""Clocks of nodes differ a little."""
LABELS = {"app.kubernetes.io/managed-by": "finetune-operator"}


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: str
    key: str

    @property
    def parsed(self) -> x509.Certificate:
        """The certificate."""
        return x509.load_pem_x509_certificate(self.certificate.encode())

    @property
    def is_whole(self) -> bool:
        """Whether the key is the certificate's. Raises: ValueError if one of them is none."""
        key = serialization.load_pem_private_key(self.key.encode(), None)
        return isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == self.parsed.public_key()

    def share_left(self, now: datetime) -> float:
        """How much of its life is left, 1 to 0."""
        certificate = self.parsed
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        return (certificate.not_valid_after_utc - now) / life


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs, who will, and the certificate of who did."""

    current: Pair
    successor: Pair | None = None
    former: str | None = None

    @property
    def trusted(self) -> str:
        """What pods trust, as PEM."""
        return self.current.certificate + (self.successor.certificate if self.successor else "") + (self.former or "")


def renewed(authority: Authority | None, now: datetime) -> Authority:
    """The authority as it should be at this time; the same object if nothing is due."""
    if authority is None or authority.current.share_left(now) <= 0:
        return Authority(new_authority(now))
    if authority.current.share_left(now) < 0.25 and authority.successor:
        return Authority(authority.successor, former=authority.current.certificate)
    if authority.current.share_left(now) < 0.5 and authority.successor is None:
        return Authority(authority.current, new_authority(now))
    return authority


def new_authority(now: datetime) -> Pair:
    """A self-signed authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"finetune-operator progress {now:%Y-%m-%d}")])
    builder = (
        _builder(name, name, key, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return _pem(builder.sign(key, hashes.SHA256()), key)


def new_certificate(authority: Pair, names: Sequence[str], now: datetime) -> Pair:
    """A server certificate for these DNS names."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_key = serialization.load_pem_private_key(authority.key.encode(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    issuer = authority.parsed
    life = min(CERTIFICATE_LIFE, issuer.not_valid_after_utc - now)
    builder = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]), issuer.subject, key, now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    return _pem(builder.sign(issuer_key, hashes.SHA256()), key)


class Store(Protocol):
    """What is needed of the cluster."""

    async def get(self, ref: Ref) -> Manifest:
        """Read one object. Raises: NotFound."""

    async def create(self, manifest: Manifest) -> None:
        """Create once. Raises: Taken."""

    async def patch(self, ref: Ref, body: Manifest, *, version: str) -> Manifest:
        """Change one, if nobody wrote since this version. Raises: Conflict."""


@dataclass(slots=True)
class Certificates:
    """Keeps the server's certificate valid and the namespaces' trust complete.

    Args:
        secret: where the authority lies; its data is empty at first.
        config_map: name of the ConfigMap in each namespace.
        names: DNS names of the server.
        clock: aware, UTC.
        monotonic: seconds that only rise.
    """

    store: Store
    secret: Ref
    config_map: str
    names: Sequence[str]
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    context: ssl.SSLContext = field(default_factory=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), init=False)
    _authority: Authority | None = field(default=None, init=False)
    _certificate: Pair | None = field(default=None, init=False)
    _published: dict[str, tuple[str, float]] = field(default_factory=dict, init=False)

    async def look(self) -> None:
        """Renew what is due. Raises: ClusterError."""
        now = self.clock()
        while True:
            raw = await self._read()
            found = _authority_of(raw)
            # Of a Secret that was deleted or emptied while we run, what we know is put back: pods that run trust it.
            wanted = renewed(found or self._authority, now)
            if wanted is found:
                break
            try:
                await self._store(raw, wanted)
            except Conflict:
                continue  # another replica was faster: its authority counts
            break
        changed = self._authority is None or self._authority.current != wanted.current
        self._authority = wanted
        if changed or self._certificate is None or self._certificate.share_left(now) < 1 / 3:
            self._certificate = new_certificate(wanted.current, self.names, now)
            _load(self.context, self._certificate)

    async def look_for_ever(self, report: Callable[[ClusterError], None]) -> None:
        """Look every hour. An error is told and tried again."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.look()
            except ClusterError as error:
                report(error)

    @property
    def trusted(self) -> str:
        """What pods have to trust, as PEM; empty before the first look."""
        return self._authority.trusted if self._authority else ""

    def seconds_left(self) -> float:
        """Until the server's certificate expires."""
        return (self._certificate.parsed.not_valid_after_utc - self.clock()).total_seconds() if self._certificate else 0.0

    async def publish(self, namespace: str) -> None:
        """Let the pods of a namespace trust the server. Raises: ClusterError; Taken if the name is another's."""
        trusted, at = self._published.get(namespace, ("", float("-inf")))
        if not self.trusted or (trusted == self.trusted and self.monotonic() - at < _TRUST_SECONDS):
            return
        wanted, ref = {"ca.crt": self.trusted}, Ref(CONFIG_MAP, namespace, self.config_map)
        try:
            found = await self.store.get(ref)
        except NotFound:
            metadata = {"name": ref.name, "namespace": namespace, "labels": LABELS}
            body = {"apiVersion": CONFIG_MAP.api_version, "kind": CONFIG_MAP.name, "metadata": metadata, "data": wanted}
            try:
                await self.store.create(body)
            except Taken:
                found = await self.store.get(ref)
            else:
                found = body
        if not LABELS.items() <= (found["metadata"].get("labels") or {}).items():
            raise Taken(f"{ref} exists already and belongs to somebody else", status=409, reason="AlreadyExists")
        if found.get("data") != wanted:
            await self.store.patch(ref, {"data": wanted}, version=found["metadata"]["resourceVersion"])
        self._published[namespace] = (self.trusted, self.monotonic())

    def doubt(self, namespace: str) -> None:
        """The namespace may have been deleted and made anew: look at its ConfigMap before the next start there."""
        self._published.pop(namespace, None)

    async def _read(self) -> Manifest | None:
        try:
            return await self.store.get(self.secret)
        except NotFound:
            return None

    async def _store(self, raw: Manifest | None, authority: Authority) -> None:
        pairs = {"current": authority.current, "successor": authority.successor}
        data: dict[str, str | None] = {}
        for name, pair in pairs.items():
            data[f"{name}.crt"] = _encoded(pair.certificate) if pair else None
            data[f"{name}.key"] = _encoded(pair.key) if pair else None
        data["former.crt"] = _encoded(authority.former) if authority.former else None
        if raw is not None:
            await self.store.patch(self.secret, {"data": data}, version=raw["metadata"]["resourceVersion"])
            return
        metadata = {"name": self.secret.name, "namespace": self.secret.namespace, "labels": LABELS}
        body = {"apiVersion": SECRET.api_version, "kind": SECRET.name, "metadata": metadata, "type": "Opaque"}
        await self.store.create({**body, "data": {name: value for name, value in data.items() if value}})


def _authority_of(raw: Manifest | None) -> Authority | None:
    """What the Secret holds; None if it holds nothing whole."""
    data = (raw or {}).get("data") or {}

    def pair(name: str) -> Pair | None:
        certificate, key = data.get(f"{name}.crt"), data.get(f"{name}.key")
        found = Pair(_decoded(certificate), _decoded(key)) if certificate and key else None
        return found if found and found.is_whole else None

    try:
        current, former = pair("current"), data.get("former.crt")
        return Authority(current, pair("successor"), _decoded(former) if former else None) if current else None
    except (ValueError, TypeError):  # no base64, no PEM, a key with a password
        return None


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    return Pair(certificate.public_bytes(encoding).decode(), private.decode())


def _load(context: ssl.SSLContext, pair: Pair) -> None:
    """The standard library reads certificates from files alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pair.pem"
        path.touch(mode=0o600)
        path.write_text(pair.key + pair.certificate, encoding="ascii")
        context.load_cert_chain(path)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
