"""What a company without internet has in its own cluster: an object store, and a server of models that speaks like the hub."""

from __future__ import annotations

from pathlib import Path

from cluster.kube import Manifest
from cluster.namespaces import Namespace
from cluster.workloads import a_pod, a_pod_spec

S3_KEYS = {"AWS_ACCESS_KEY_ID": "corp", "AWS_SECRET_ACCESS_KEY": "a-long-secret"}
S3_CLIENT = {"AWS_ENDPOINT_URL": "http://s3:7070", "AWS_REGION": "us-east-1", **S3_KEYS}
"""Variables by which a client finds the store."""
HUB_CLIENT = {"HF_ENDPOINT": "http://hub:8080"}
_SERVERS = Path(__file__).parents[1] / "servers"
_SERVE_HUB = """
import threading
from pathlib import Path
from servers.hub import HubServer
with HubServer(Path("/tmp/hub"), host="", ports=(8080, 8081), name="hub") as hub:
    for model in Path("/models").iterdir():
        hub.add(f"corp/{model.name}", {path.name: path.read_bytes() for path in model.iterdir()})
    print("serving", flush=True)
    threading.Event().wait()
"""


def _service(name: str, *ports: int) -> Manifest:
    named = [{"name": f"port-{port}", "port": port} for port in ports]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": named},
    }


def start_s3(namespace: Namespace, image: str) -> None:
    """An S3 gateway over a folder (versitygw), which checks signatures; the service `s3`."""
    command = ["/versitygw", "--port", ":7070", "--region", "us-east-1", "posix", "/tmp"]
    keys = {"ROOT_ACCESS_KEY": S3_KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": S3_KEYS["AWS_SECRET_ACCESS_KEY"]}
    namespace.create(_service("s3", 7070))
    namespace.create(a_pod("s3", image, command, environment=keys))
    namespace.until_running("s3")


def start_hub(namespace: Namespace, image: str, *, claim: str, folder: str) -> None:
    """The hub of the unit tests in a pod; the service `hub`. Each folder of a claim's folder becomes the model corp/NAME."""
    code = {path.name: path.read_text(encoding="utf-8") for path in (_SERVERS / "hub.py", _SERVERS / "local.py")}
    namespace.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hub-code"}, "data": code})
    namespace.create(_service("hub", 8080, 8081))
    spec = a_pod_spec(
        image,
        ["python", "-c", _SERVE_HUB],
        claims={claim: "/models"},
        config_maps={"hub-code": "/code/servers"},
        environment={"PYTHONPATH": "/code"},
    )
    mounts = spec["containers"][0]["volumeMounts"]
    next(mount for mount in mounts if mount["mountPath"] == "/models")["subPath"] = folder
    labels = {"app": "hub"}
    namespace.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hub", "labels": labels}, "spec": spec})
    namespace.until_said("hub", "serving")
