"""A cluster in which the smallest manifest has all it needs; each test takes something away or adds a trouble."""

from __future__ import annotations

import pytest

from preflight import ACCOUNTS, CLAIMS, CLASSES, DEPLOYMENTS, NODES, a_class, a_node, an_operator
from servers.beside import Beside


@pytest.fixture
def fit(cluster: Beside) -> Beside:
    """All there."""
    cluster.put(("v1", "namespaces"), {"metadata": {"name": "ml", "namespace": ""}})
    cluster.put(ACCOUNTS, {"metadata": {"name": "default"}})
    cluster.put(DEPLOYMENTS, an_operator())
    cluster.put(CLASSES, a_class("usual", default=True))
    cluster.put(CLAIMS, {"metadata": {"name": "models"}, "spec": {"accessModes": ["ReadWriteMany"]}})
    cluster.put(NODES, a_node())
    return cluster
