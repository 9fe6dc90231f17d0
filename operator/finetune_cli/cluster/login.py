"""Which cluster, as whom: a kubeconfig and its context, or the service account of the pod that this runs in.

The rules are kubectl's, so that both always speak of the same cluster: --kubeconfig, else the files of $KUBECONFIG, else
~/.kube/config, else the pod's own account.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config.kube_config import KubeConfigMerger

from finetune_api.errors import UserError

_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_CONFIG_LOG = "kubernetes.aio.config"


@dataclass(frozen=True, slots=True)
class Login:
    """A client with its credentials."""

    client: ApiClient
    namespace: str
    """Where things are looked for unless another namespace is named."""
    place: str
    """The cluster in a person's words."""


async def log_in(environment: Mapping[str, str], *, kubeconfig: Path | None = None, context: str | None = None) -> Login:
    """Find the cluster and the credentials for it; nothing is asked yet.

    Raises: UserError if there are none, or they cannot be read.
    """
    files = _files(environment, kubeconfig)
    if files:
        return await _with_kubeconfig(files, context)
    if context:
        raise UserError(f"there is no kubeconfig that could hold a context {context}")
    if not environment.get("KUBERNETES_SERVICE_HOST"):
        raise UserError(
            "no cluster is configured: KUBECONFIG names no file, ~/.kube/config is not there, and this is no pod",
            hint="Name a kubeconfig with --kubeconfig.",
        )
    configuration = Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        namespace = _pod_namespace()
    except (config.ConfigException, OSError) as error:
        raise UserError(f"this pod has no service account to log in with: {error}") from None
    return Login(ApiClient(configuration), namespace or "default", "this pod's cluster")


def _pod_namespace() -> str:
    return _POD_NAMESPACE.read_text(encoding="utf-8").strip()


def _files(environment: Mapping[str, str], named: Path | None) -> str | None:
    """The kubeconfig files to read, separated as in $KUBECONFIG.

    Raises: UserError if the one that was named is not there.
    """
    if named is not None:
        if not named.is_file():
            raise UserError(f"--kubeconfig {named}: no such file")
        return str(named)
    listed = [path for path in environment.get("KUBECONFIG", "").split(":") if path]
    found = [path for path in listed if Path(path).expanduser().is_file()]
    if listed and not found:
        raise UserError(f"KUBECONFIG names {listed[0]}, which is not there")
    usual = Path(environment.get("HOME", "~")).expanduser() / ".kube" / "config"
    return ":".join(found) or (str(usual) if usual.is_file() else None)


async def _with_kubeconfig(files: str, context: str | None) -> Login:
    contexts = _contexts(files)
    if context is not None and context not in contexts:
        raise UserError(f"{files} has no context {context}; it has {', '.join(sorted(contexts)) or 'none'}")
    configuration = Configuration()
    complaints = _Complaints()
    logger = logging.getLogger(_CONFIG_LOG)
    logger.addHandler(complaints)
    logger.propagate = False
    try:
        loader = await config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=files, context=context, client_configuration=configuration, persist_config=False
        )
    except (config.ConfigException, yaml.YAMLError, ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{files} cannot be used: {_one_line(str(error))}", hint=_HINT) from None
    finally:
        logger.removeHandler(complaints)
    current = loader.current_context
    name = str(current["name"])
    if complaints.said:  # the library goes on without credentials, and the server would answer "anonymous may not"
        raise UserError(f"logging in to {name} failed: {_one_line(complaints.said[0])}", hint="Log in again, as for kubectl.")
    namespace = (current.get("context") or {}).get("namespace") or "default"
    return Login(ApiClient(configuration), str(namespace), f"context {name} ({configuration.host})")


_HINT = "Name a context with --context, or another file with --kubeconfig."


def _contexts(files: str) -> set[str]:
    try:
        merged = KubeConfigMerger(files).config  # type: ignore[no-untyped-call]
        found = (merged.value if merged else {}).get("contexts") or ()
        return {str(one["name"]) for one in found}
    except (config.ConfigException, yaml.YAMLError, OSError) as error:
        raise UserError(f"{files} is no kubeconfig: {_one_line(str(error))}") from None
    except (AttributeError, KeyError, TypeError, ValueError):  # of another shape: the library takes it as it comes
        raise UserError(f"{files} is no kubeconfig") from None


class _Complaints(logging.Handler):
    """What the library says instead of raising."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.said.append(record.getMessage())


def _one_line(text: str) -> str:
    """Without the marks of a bytes object, which the library prints as it is."""
    return " ".join(text.replace("b'", "'").replace("\\n", " ").split())
