"""The chart's rights and what the API server itself wrote down of the operator's calls: its audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cluster import life
from cluster.kube import wait_for
from cluster.machine import Machine
from rights import Grant, granted

pytestmark = pytest.mark.node_access

NAME = f"{life.RELEASE}-finetune-operator"
ACCOUNT = f"system:serviceaccount:{life.SYSTEM}:{NAME}"
SELDOM = {
    ("secrets", "create"),
    ("secrets", "patch"),
    ("configmaps", "patch"),
    ("events", "get"),
    ("leases", "create"),
}
"""Needed when a certificate's authority changes, an answer is lost, or a cluster sees the operator for the first time."""


def calls(machine: Machine) -> Iterator[dict[str, Any]]:
    """What the operator has asked, in the whole life of this cluster."""
    whole, _, _ = (machine.state / "log" / "audit.log").read_text(encoding="utf-8").rpartition("\n")  # it is being written
    for line in whole.splitlines():
        event: dict[str, Any] = json.loads(line)
        # What there is (discovery) everybody may ask; it is of no object.
        if event["user"]["username"] == ACCOUNT and "objectRef" in event:
            yield event


def needed(event: dict[str, Any]) -> Grant:
    """The right that a call needs."""
    of = event["objectRef"]
    resource = "/".join(part for part in (of["resource"], of.get("subresource")) if part)
    return Grant(of.get("namespace", ""), of.get("apiGroup", ""), resource, event["verb"], of.get("name", ""))


def test_the_operator_asks_for_all_that_it_may_and_is_never_told_that_it_may_not(
    place: life.Workplace, machine: Machine
) -> None:
    # A job that is stopped in the middle, goes on with a second attempt, and is removed after its end.
    job = place.apply("audited", runPolicy={"ttlSecondsAfterFinished": 0})
    job.until_running("train", pods=2)
    job.patch({"runPolicy": {"suspend": True}})
    job.until("Suspended")
    job.patch({"runPolicy": {"suspend": False}})
    job.until_gone(seconds=180)
    # One that waits for something that only an Event tells.
    missing = {"name": "extra", "secret": {"secretName": "not-there"}}
    place.apply("waiting", podTemplate={"volumes": [missing], "volumeMounts": [{"name": "extra", "mountPath": "/extra"}]})

    def listed_events() -> bool:
        return any(call["verb"] == "list" and call["objectRef"]["resource"] == "events" for call in calls(machine))

    wait_for(listed_events, what="a look at Events", seconds=60)

    recorded = list(calls(machine))
    forbidden = [call for call in recorded if call["annotations"]["authorization.k8s.io/decision"] != "allow"]
    assert [(call["verb"], call["requestURI"]) for call in forbidden] == []
    grants, needs = granted(name=NAME, system=life.SYSTEM), {needed(call) for call in recorded}
    assert {need for need in needs if not any(grant.allows(need) for grant in grants)} == set()
    idle = {(grant.resource, grant.verb) for grant in grants if not any(grant.allows(need) for need in needs)}
    assert idle <= SELDOM
