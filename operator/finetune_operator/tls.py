"""The progress server's certificates: kept and renewed here, because no cluster can be relied on to have a tool for it.

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
from datetime import datetime
from pathlib import Path
from typing import Protocol

from finetune_api.errors import ClusterError, Conflict, NotFound, Taken
from finetune_operator.certificates import Pair, new_authority, new_certificate
from finetune_operator.kinds import CONFIG_MAP, SECRET, Manifest, Ref

_LOOK_SECONDS = 3600.0
_TRUST_SECONDS = 600.0
"""How long a namespace's ConfigMap is believed to be as it was left."""
LABELS = {"app.kubernetes.io/managed-by": "finetune-operator"}


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
