"""The rights that the chart gives: those that the operator uses, and no others."""

from __future__ import annotations

from typing import Any

from charts import NAMESPACE, RELEASE, installed, one, settings
from finetune_operator.kinds import FINE_TUNE_JOB, Kind


def rules(kind: str, name: str, **values: Any) -> dict[str, set[str]]:
    """Resource to verbs; a rule for some names alone says so."""
    found: dict[str, set[str]] = {}
    for rule in one(kind, name, **values)["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                only = f" {','.join(rule['resourceNames'])}" if "resourceNames" in rule else ""
                found.setdefault(f"{group}/{resource}{only}".removeprefix("/"), set()).update(rule["verbs"])
    return found


FOR_JOBS = {
    "finetune.dev/finetunejobs": {"get", "list", "watch", "delete"},
    "finetune.dev/finetunejobs/status": {"patch"},
    "batch/jobs": {"get", "list", "watch", "create", "delete"},
    "pods": {"get", "list", "watch"},
    "configmaps": {"get", "create"},
    "configmaps finetune-operator-progress-ca": {"patch"},
    "services": {"get", "create"},
    "persistentvolumeclaims": {"get", "create"},
    "networking.k8s.io/networkpolicies": {"get", "create"},
    "events": {"list"},
    "events.k8s.io/events": {"get", "create"},
}
OF_ITS_OWN = {
    "coordination.k8s.io/leases": {"create"},
    "coordination.k8s.io/leases finetune-operator": {"get", "patch"},
    "secrets": {"create"},
    "secrets finetune-operator-progress-ca": {"get", "patch"},
}
REVIEWS = {"authentication.k8s.io/tokenreviews": {"create"}}


def test_the_operator_may_do_what_it_does_and_no_more() -> None:
    assert rules("ClusterRole", f"{RELEASE}-{NAMESPACE}") == {**FOR_JOBS, **REVIEWS}
    assert rules("Role", RELEASE) == OF_ITS_OWN
    named = settings()
    assert (named.lease_name, named.ca_secret, named.ca_config_map) == (
        "finetune-operator",
        "finetune-operator-progress-ca",
        "finetune-operator-progress-ca",
    )


def test_no_secret_but_its_own_can_be_read() -> None:
    for role in [o for o in installed() if o["kind"] in ("Role", "ClusterRole")]:
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            if "secrets" in rule["resources"] and "get" in rule["verbs"]:
                assert rule["resourceNames"] == ["finetune-operator-progress-ca"]


def test_an_operator_of_two_namespaces_has_no_rights_in_others() -> None:
    values: dict[str, Any] = {"watchNamespaces": ["blue", "green"]}
    assert rules("ClusterRole", f"{RELEASE}-{NAMESPACE}", **values) == REVIEWS
    roles = [o for o in installed(**values) if o["kind"] == "Role" and o["metadata"]["name"] == f"{RELEASE}-jobs"]
    assert {role["metadata"]["namespace"] for role in roles} == {"blue", "green"}
    bindings = [o for o in installed(**values) if o["kind"] == "RoleBinding"]
    assert {b["subjects"][0]["namespace"] for b in bindings} == {NAMESPACE}


def test_people_who_may_edit_a_namespace_may_have_jobs_in_it() -> None:
    found = rules("ClusterRole", f"{RELEASE}-{NAMESPACE}-edit")
    assert "create" in found[f"{FINE_TUNE_JOB.api_version.partition('/')[0]}/{FINE_TUNE_JOB.plural}"]
    assert not [o for o in installed(rbac={"aggregate": False}) if o["metadata"]["name"].endswith("-edit")]


def test_the_rights_speak_of_kinds_the_operator_knows() -> None:
    from finetune_operator import kinds

    known = {kind.plural for kind in vars(kinds).values() if isinstance(kind, Kind)}
    for resource in (*FOR_JOBS, *OF_ITS_OWN, *REVIEWS):
        plural = resource.split()[0].removesuffix("/status").rpartition("/")[2]
        assert plural in known
