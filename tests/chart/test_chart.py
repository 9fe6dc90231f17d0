"""The chart: what it renders is what the operator reads, needs and nothing more."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from builders import a_plan
from charts import CHART, NAMESPACE, RELEASE, ROOT, installed, one, pod, run_helm, settings
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.stages import Stage
from finetune_operator.render import render
from finetune_operator.settings import Settings
from golden import assert_golden
from rendered import QUICKSTART


def policy_of_a_job(read: Settings) -> dict[str, Any]:
    """The NetworkPolicy of a stage's pods under these settings."""
    planned = a_plan(QUICKSTART, machine=read.machine)
    children = render(QUICKSTART, planned, AttemptName(Stage.PREPARE, 1), read.render)
    (policy,) = [child for child in children if child["kind"] == "NetworkPolicy"]
    return policy


# ---------------------------------------------------------------- the whole


def test_the_chart_is_without_fault() -> None:
    run = run_helm("lint", str(CHART), "--strict")
    assert run.returncode == 0, run.stdout + run.stderr


def test_nothing_in_it_depends_on_the_cluster_or_on_chance() -> None:
    for template in (CHART / "templates").iterdir():
        text = template.read_text(encoding="utf-8")
        assert not [word for word in ("lookup ", "genCA", "rand", "now |", "uuidv4") if word in text], template.name


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": "two"}, "replicas"),
        ({"node": {"gpu": 8}}, "gpu"),
        ({"node": {"cpuCores": 0}}, "cpuCores"),
        ({"logLevel": "loud"}, "logLevel"),
        ({"progress": {"port": 70000}}, "port"),
        ({"jobs": {"workspace": {"size": "much"}}}, "size"),
        ({"trainer": {"image": ""}}, "image"),
        ({"serviceAccount": {"create": False}}, "name"),
        ({"resources": {"limits": {"memory": "much"}}}, "memory"),
        ({"resources": {"limit": {}}}, "limit"),
        ({"tolerations": [{"key": "gpu", "effect": "Never"}]}, "effect"),
        ({"networkPolicy": {"apiServerCidrs": ["kubernetes.default"]}}, "apiServerCidrs"),
        ({"metrics": {"jobs": {"most": 0}}}, "most"),
        ({"watchNamespaces": ["Team_A"]}, "watchNamespaces"),
        ({"dns": {"ports": []}}, "ports"),
        ({"jobs": {"light": {"cpu": "16Gi"}}}, "cpu"),
        ({"metrics": {"port": 8443}}, "progress.port and metrics.port"),
    ],
)
def test_a_value_that_is_wrong_or_does_not_exist_is_refused_by_name(values: dict[str, Any], words: str) -> None:
    run = run_helm("template", RELEASE, str(CHART), values=values)
    assert run.returncode != 0
    assert words in run.stderr


def sentences() -> dict[tuple[str, ...], str]:
    """Of each value that has a line in values.yaml, what the comment above says."""
    found: dict[tuple[str, ...], str] = {}
    path: tuple[str, ...] = ()
    said: list[str] = []
    for line in (CHART / "values.yaml").read_text(encoding="utf-8").splitlines():
        if line.strip().startswith("#"):
            said.append(line.strip().removeprefix("#").strip())
        elif key := re.match(r"( *)(\w+):", line):
            path = (*path[: len(key[1]) // 2], key[2])
            found[path], said = " ".join(said), []
        else:
            said = []
    return found


def test_every_value_has_a_sentence_and_an_editor_shows_it() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    said = sentences()
    for path, sentence in said.items():
        shown = schema
        for key in path:
            shown = shown["properties"][key]
        assert shown.get("description", "") == sentence, path
        assert sentence or said.get(path[:-1]) or "properties" in shown, f"{'.'.join(path)} says nothing"


# ---------------------------------------------------------------- the definition


def test_the_chart_carries_the_definition_that_was_generated() -> None:
    generated = (ROOT / "crds" / "finetunejobs.yaml").read_text(encoding="utf-8")
    assert (CHART / "files" / "finetunejobs.yaml").read_text(encoding="utf-8") == generated, "make crds"


def test_the_definition_and_every_job_outlive_the_release() -> None:
    generated = yaml.safe_load((ROOT / "crds" / "finetunejobs.yaml").read_text(encoding="utf-8"))
    definition = one("CustomResourceDefinition")
    assert definition["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert definition == generated


def test_the_definition_takes_a_gitops_tools_annotations_and_stays_all_the_same() -> None:
    theirs = {"argocd.argoproj.io/sync-options": "Prune=false", "helm.sh/resource-policy": "delete"}
    definition = one("CustomResourceDefinition", crds={"annotations": theirs})
    assert definition["metadata"]["annotations"] == {**theirs, "helm.sh/resource-policy": "keep"}


def test_the_definition_can_come_from_elsewhere() -> None:
    assert not [o for o in installed(crds={"enabled": False}) if o["kind"] == "CustomResourceDefinition"]


# ---------------------------------------------------------------- what the operator reads


def test_what_the_chart_says_is_what_the_operator_reads() -> None:
    read = settings(
        node={"cpuCores": 2, "memoryGiB": 7.5, "gpus": 0},
        jobs={"workspace": {"size": "1Gi", "storageClassName": "fast"}, "fsGroup": 1000660000, "graceSeconds": 20},
        watchNamespaces=["team"],
        imagePullSecrets=["registry"],
        trainer={"image": "trainer:7"},
    )
    assert (read.machine.cpu_cores, read.machine.memory_gib, read.machine.gpus) == (2, 7.5, 0)
    assert (read.render.workspace_size, read.render.storage_class_name, read.render.fs_group) == ("1Gi", "fast", 1000660000)
    assert (read.watch_namespaces, read.render.image_pull_secrets) == (("team",), ("registry",))
    assert (read.render.trainer_image, read.render.grace_seconds) == ("trainer:7", 20)


def test_images_may_be_pinned_by_digest() -> None:
    pinned = "registry.example/team/image@sha256:" + "0" * 64
    values: dict[str, Any] = {"operator": {"image": pinned}, "trainer": {"image": pinned}}
    (container,) = pod(**values)["spec"]["containers"]
    assert (container["image"], settings(**values).render.trainer_image) == (pinned, pinned)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("registry.example:5000/team/image", "registry.example:5000/team/image:{}"),
        ("image", "image:{}"),
        ("image:7", "image:7"),
    ],
)
def test_an_image_without_a_tag_is_that_of_this_release(said: str, meant: str) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    values: dict[str, Any] = {"operator": {"image": said}, "trainer": {"image": said}}
    (container,) = pod(**values)["spec"]["containers"]
    assert (container["image"], settings(**values).render.trainer_image) == (meant.format(version),) * 2


def test_a_quantity_may_be_a_number() -> None:
    assert settings(jobs={"light": {"cpu": 0.5, "memory": "2Gi"}}).render.light_cpu == "0.5"


def test_every_setting_can_be_said_in_the_chart() -> None:
    (container,) = pod()["spec"]["containers"]
    said = {entry["name"].removeprefix("FINETUNE_").lower() for entry in container["env"]}
    assert set(Settings.model_fields) - said == {"kubeconfig", "token_audience"}  # for a process outside, and a name


def test_the_charts_defaults_are_the_operators() -> None:
    read = settings()
    for name, field in Settings.model_fields.items():
        if not field.is_required() and name not in ("kubeconfig", "watch_namespaces"):
            default = field.get_default(call_default_factory=True)
            expected = {"ca_config_map": "finetune-operator-progress-ca"}.get(name, default)
            assert getattr(read, name) == expected, name


def test_reports_arrive_at_the_operators_pods() -> None:
    read, template = settings(), pod()
    labels = template["metadata"]["labels"]
    service = one("Service", read.progress_service)
    (container,) = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert service["spec"]["selector"].items() <= labels.items()
    assert service["spec"]["ports"][0]["port"] == read.progress_service_port
    assert ports[service["spec"]["ports"][0]["targetPort"]] == read.progress_port
    assert read.operator_labels.items() <= labels.items()


def test_the_pods_of_jobs_and_the_operator_let_each_other_through() -> None:
    read = settings()
    policy = policy_of_a_job(read)
    (to_operator,) = [
        r for r in policy["spec"]["egress"] if r.get("ports") == [{"protocol": "TCP", "port": read.progress_port}]
    ]
    (peer,) = to_operator["to"]
    assert peer["podSelector"]["matchLabels"].items() <= pod()["metadata"]["labels"].items()
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": NAMESPACE}
    reports = one("NetworkPolicy")["spec"]["ingress"][0]
    (selector,) = reports["from"][0]["podSelector"]["matchExpressions"]
    assert selector["key"] in policy["spec"]["podSelector"]["matchLabels"]
    assert reports["ports"][0]["port"] == read.progress_port


def test_name_servers_are_reached_where_they_listen_by_the_operator_and_by_jobs() -> None:
    openshift: dict[str, Any] = {
        "dns": {
            "namespace": "openshift-dns",
            "labels": {"dns.operator.openshift.io/daemonset-dns": "default"},
            "addresses": ["::1/128"],
            "ports": [5353],
        }
    }
    read = settings(**openshift)
    policy = policy_of_a_job(read)
    ours = one("NetworkPolicy", **openshift)["spec"]["egress"][0]
    assert policy["spec"]["egress"][0] == ours
    assert ours["ports"] == [{"protocol": "UDP", "port": 5353}, {"protocol": "TCP", "port": 5353}]
    assert ours["to"][1] == {"ipBlock": {"cidr": "::1/128"}}


def test_reports_come_from_the_namespaces_that_are_served_and_the_api_server_can_be_named() -> None:
    policy = one(
        "NetworkPolicy", watchNamespaces=["blue", "green"], networkPolicy={"apiServerCidrs": ["10.0.0.1/32", "fd00::1/128"]}
    )
    (peer,) = policy["spec"]["ingress"][0]["from"]
    (term,) = peer["namespaceSelector"]["matchExpressions"]
    assert term == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["blue", "green"]}
    to_server = policy["spec"]["egress"][1]
    assert [peer["ipBlock"]["cidr"] for peer in to_server["to"]] == ["10.0.0.1/32", "fd00::1/128"]
    assert "to" not in one("NetworkPolicy")["spec"]["egress"][1], "and is anywhere where nobody named it"


def test_every_object_carries_the_releases_labels_and_annotations() -> None:
    everything = {
        "labels": {"team": "ml", "app.kubernetes.io/name": "mine"},
        "annotations": {"owner": "platform"},
        "watchNamespaces": ["blue"],
        "replicas": 2,
        "metrics": {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule", "dashboard")},
        "crds": {"enabled": False},
    }
    for found in installed(**everything):
        labels, where = found["metadata"]["labels"], f"{found['kind']} {found['metadata']['name']}"
        assert labels["team"] == "ml", where
        assert labels["app.kubernetes.io/name"] == "finetune-operator", f"{where}: selectors hold"
        assert found["metadata"]["annotations"]["owner"] == "platform", where
    selector = one("Deployment", **everything)["spec"]["selector"]["matchLabels"]
    assert selector.items() <= pod(**everything)["metadata"]["labels"].items()
    assert "team" not in selector, "selectors never change"


def test_a_label_that_is_said_twice_is_there_once() -> None:
    values: dict[str, Any] = {"labels": {"team": "ml"}, "podLabels": {"team": "pods", "app.kubernetes.io/name": "mine"}}
    labels = pod(**values)["metadata"]["labels"]
    assert (labels["team"], labels["app.kubernetes.io/name"]) == ("pods", "finetune-operator")
    ours = {"app.kubernetes.io/component": "mine", "rbac.authorization.k8s.io/aggregate-to-edit": "false"}
    labels = one("Service", "finetune-operator-metrics", labels=ours)["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "metrics"
    role = one("ClusterRole", "finetune-operator-finetune-system-view", labels=ours)
    assert role["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    monitor = {"serviceMonitor": {"enabled": True, "labels": {"team": "watchers"}}}
    assert one("ServiceMonitor", labels={"team": "ml"}, metrics=monitor)["metadata"]["labels"]["team"] == "watchers"


def test_the_account_gives_its_token_to_the_operators_pods_alone() -> None:
    assert one("ServiceAccount")["automountServiceAccountToken"] is False
    assert pod()["spec"]["automountServiceAccountToken"] is True


def test_single_jobs_have_series_only_where_that_is_said() -> None:
    assert settings().metrics_jobs == 0
    assert settings(metrics={"jobs": {"enabled": True, "most": 50}}).metrics_jobs == 50


NEARLY_EVERYTHING: dict[str, Any] = {
    "replicas": 2,
    "labels": {"team": "ml"},
    "watchNamespaces": ["blue", "green"],
    "imagePullSecrets": ["registry"],
    "crds": {"enabled": False},
    "metrics": {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule", "dashboard", "jobs")},
    "networkPolicy": {"apiServerCidrs": ["10.0.0.1/32"], "metricsFrom": [{"namespaceSelector": {}}]},
    "priorityClassName": "platform",
    "tolerations": [{"key": "control-plane", "operator": "Exists"}],
}


@pytest.mark.parametrize(("name", "values"), [("defaults", {}), ("nearly_everything", NEARLY_EVERYTHING)])
def test_what_is_installed_is_what_a_person_has_read(name: str, values: dict[str, Any]) -> None:
    """The definition, alerts and dashboard have files of their own."""
    objects = [found for found in installed(**values) if found["kind"] not in ("CustomResourceDefinition", "PrometheusRule")]
    for found in objects:
        found.pop("data", None)
    objects.sort(key=lambda found: (found["kind"], found["metadata"].get("namespace", ""), found["metadata"]["name"]))
    assert_golden(f"chart/{name}.yaml", yaml.safe_dump_all(objects, sort_keys=False, width=128))


# ---------------------------------------------------------------- the pod


def test_the_operators_pod_keeps_to_the_restricted_standard() -> None:
    spec = pod()["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_the_key_of_its_certificate_meets_no_disk() -> None:
    """Nothing else of the pod can be written."""
    spec = pod()["spec"]
    assert spec["volumes"] == [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}]
    assert spec["containers"][0]["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_one_replica_has_no_budget_that_would_hold_up_a_drain() -> None:
    assert not [o for o in installed() if o["kind"] == "PodDisruptionBudget"]


def test_of_two_replicas_one_stays_and_they_are_apart() -> None:
    budget = one("PodDisruptionBudget", replicas=2)["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    (spread,) = pod(replicas=2)["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"].items() <= pod(replicas=2)["metadata"]["labels"].items()
    theirs = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
    assert pod(replicas=2, topologySpreadConstraints=[theirs])["spec"]["topologySpreadConstraints"] == [theirs]


def test_what_is_switched_off_is_not_there() -> None:
    off = installed(
        networkPolicy={"enabled": False},
        rbac={"create": False},
        serviceAccount={"create": False, "name": "theirs"},
        crds={"enabled": False},
    )
    assert {o["kind"] for o in off} == {"Deployment", "Service"}
    assert one("ServiceMonitor", metrics={"serviceMonitor": {"enabled": True}})["spec"]["endpoints"][0]["port"] == "metrics"
