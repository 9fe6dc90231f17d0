"""What a pod may do, whom it may reach and which secrets it is given: as little as its stage needs."""

from __future__ import annotations

import pytest

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.stages import Stage
from finetune_operator.render import Manifest
from rendered import (
    ALL,
    CLASSIFICATION,
    EVERYTHING,
    GPUS,
    OWN_TRAINER,
    QUICKSTART,
    children,
    claims_of,
    container_of,
    pod_of,
    secrets_of,
    stored,
)

# ---------------------------------------------------------------- security


@pytest.mark.parametrize(("job", "stage"), ALL)
def test_every_pod_keeps_to_the_restricted_standard(job: FineTuneJob, stage: Stage) -> None:
    """The controls of the Pod Security Standard, read from its page and not from the renderer."""
    pod = pod_of(job, stage, **GPUS)
    container = container_of(job, stage, **GPUS)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod)
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} <= allowed
    assert "ports" not in container


@pytest.mark.parametrize(("job", "stage"), ALL)
def test_a_pod_has_one_token_and_it_is_for_reports_alone(job: FineTuneJob, stage: Stage) -> None:
    pod = pod_of(job, stage, **GPUS)
    assert pod["automountServiceAccountToken"] is False
    sources = [source for volume in pod["volumes"] for source in volume.get("projected", {}).get("sources", ())]
    (token,) = [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]
    assert token["audience"] == "finetune.dev/progress"
    assert token["expirationSeconds"] >= 600  # the API server refuses less


@pytest.mark.parametrize(("job", "stage"), ALL)
def test_every_mount_has_a_volume_and_no_place_is_taken_twice(job: FineTuneJob, stage: Stage) -> None:
    mounts = container_of(job, stage, **GPUS)["volumeMounts"]
    names = [volume["name"] for volume in pod_of(job, stage, **GPUS)["volumes"]]
    places = [mount["mountPath"] for mount in mounts]
    assert {mount["name"] for mount in mounts} <= set(names)
    assert (len(set(names)), len(set(places))) == (len(names), len(places))


# ---------------------------------------------------------------- who is given which secrets


def test_a_stage_is_given_the_secrets_of_what_it_reads_and_no_others() -> None:
    found = {stage: secrets_of(EVERYTHING, stage) for stage in Stage}
    assert found == {
        Stage.PREPARE: {"MODEL_": "model-bucket", "DATASET_0_": "hub", "DATASET_2_": "web", "SUITE_0_": "unused"},
        Stage.TRAIN: {},
        Stage.EVALUATE: {},
        Stage.PUBLISH: {"OUTPUT_": "model-bucket"},
    }


# ---------------------------------------------------------------- who may reach whom


def rules(job: FineTuneJob, stage: Stage) -> tuple[list[Manifest], list[Manifest]]:
    spec = children(job, stage, **GPUS)["NetworkPolicy"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    return spec["ingress"], spec["egress"]


def ports_outside(job: FineTuneJob, stage: Stage) -> list[int | None]:
    """Ports that may be reached anywhere; None: all of TCP."""
    found = [rule["ports"] for rule in rules(job, stage)[1] if "to" not in rule]
    return [port.get("port") for ports in found for port in ports]


@pytest.mark.parametrize("stage", [Stage.TRAIN, Stage.EVALUATE])
@pytest.mark.parametrize("job", [QUICKSTART, CLASSIFICATION, EVERYTHING])
def test_what_sees_everything_reaches_nothing_outside(job: FineTuneJob, stage: Stage) -> None:
    assert ports_outside(job, stage) == []
    for rule in rules(job, stage)[1]:
        for peer in rule["to"]:
            assert "podSelector" in peer or peer == {"ipBlock": {"cidr": "169.254.20.10/32"}}


def test_training_pods_reach_each_other_and_nobody_else_reaches_them() -> None:
    own = {"podSelector": {"matchLabels": {"finetune.dev/job": "quickstart", "finetune.dev/stage": "train"}}}
    ingress, egress = rules(QUICKSTART, Stage.TRAIN)
    assert ingress == [{"from": [own]}]
    assert {"to": [own]} in egress
    assert rules(QUICKSTART, Stage.PREPARE)[0] == []
    assert rules(CLASSIFICATION, Stage.TRAIN)[0] == []  # one pod has no peers


@pytest.mark.parametrize(
    ("uri", "ports"),
    [
        ("hf://org/model", [443]),
        ("https://host.example/rows.jsonl", [443]),
        ("https://host.example:8443/rows.jsonl", [443, 8443]),
        ("s3://bucket/rows.jsonl", [None]),
    ],
)
def test_prepare_reaches_the_ports_that_its_uris_mean(uri: str, ports: list[int | None]) -> None:
    job = stored(model={"uri": "hf://org/model"}, datasets=[{"uri": uri}], output={"uri": "pvc://models/x"})
    assert ports_outside(job, Stage.PREPARE) == ports
    assert ports_outside(job, Stage.PUBLISH) == []


def with_detector(uri: str, **more: str) -> FineTuneJob:
    anonymize = {"strategy": "mask", "detectors": [{"uri": uri, **more}]}
    on_claims = {"model": {"uri": "pvc://models/x"}, "datasets": [{"uri": "pvc://data/rows.jsonl"}]}
    return stored(**on_claims, preparation={"anonymize": anonymize}, output={"uri": "pvc://models/y"})


@pytest.mark.parametrize(
    ("uri", "namespaces", "ports"),
    [
        ("hf://org/tagger", [], [443]),
        ("presidio+https://pii.corp.example", [], [443]),
        ("presidio+http://pii.corp.example", [], [80]),
        ("presidio+http://10.1.2.3:5002", [], [5002]),
        ("presidio+http://presidio:3000", [""], []),
        ("presidio+http://presidio.privacy:3000/v1", ["privacy"], [3000]),  # which could be a domain, too
        ("presidio+http://presidio.privacy.svc.cluster.local", ["privacy"], []),
    ],
)
def test_prepare_alone_reaches_a_detector(uri: str, namespaces: list[str], ports: list[int]) -> None:
    job = with_detector(uri)
    peers = [
        peer for rule in rules(job, Stage.PREPARE)[1] for peer in rule.get("to", ()) if rule["ports"] == [{"protocol": "TCP"}]
    ]
    label = "kubernetes.io/metadata.name"
    named = [{"namespaceSelector": {"matchLabels": {label: name}}} if name else {"podSelector": {}} for name in namespaces]
    assert peers == named
    assert ports_outside(job, Stage.PREPARE) == ports
    without = with_detector("file:///models/tagger")
    for stage in (Stage.TRAIN, Stage.EVALUATE, Stage.PUBLISH):
        assert rules(job, stage) == rules(without, stage)


@pytest.mark.parametrize(
    ("address", "namespaces", "ports"),
    [
        ("tcp://scheduler:8786", [""], []),
        ("tls://scheduler.dask.svc:8786", ["dask"], []),
        ("tls://dask.corp.example:8787", [], [8787]),
    ],
)
def test_prepare_alone_reaches_the_engine_and_has_its_certificates(
    address: str, namespaces: list[str], ports: list[int]
) -> None:
    engine = {"engine": {"dask": {"address": address, "secretName": "dask-account"}}}
    on_claims = {"model": {"uri": "pvc://m/x"}, "datasets": [{"uri": "pvc://d/x"}], "output": {"uri": "pvc://m/y"}}
    job, without = stored(**on_claims, preparation=engine), stored(**on_claims)
    added = [rule for rule in rules(job, Stage.PREPARE)[1] if rule not in rules(without, Stage.PREPARE)[1] and "to" in rule]
    label = "kubernetes.io/metadata.name"
    named = [{"namespaceSelector": {"matchLabels": {label: name}}} if name else {"podSelector": {}} for name in namespaces]
    assert [peer for rule in added for peer in rule["to"]] == named
    assert ports_outside(job, Stage.PREPARE) == ports
    assert secrets_of(job, Stage.PREPARE) == {"ENGINE_": "dask-account"}
    for stage in (Stage.TRAIN, Stage.EVALUATE, Stage.PUBLISH):
        assert rules(job, stage) == rules(without, stage)
        assert secrets_of(job, stage) == {}


def test_a_detector_on_a_claim_is_mounted_where_the_data_is_prepared_and_its_secret_goes_nowhere_else() -> None:
    job = with_detector("pvc://taggers/german", secretName="tagger-account")
    assert "/mnt/claims/taggers" in claims_of(job, Stage.PREPARE)
    assert secrets_of(job, Stage.PREPARE)["DETECTOR_0_"] == "tagger-account"
    for stage in (Stage.TRAIN, Stage.EVALUATE, Stage.PUBLISH):
        assert "/mnt/claims/taggers" not in claims_of(job, stage)
        assert "tagger-account" not in secrets_of(job, stage).values()


@pytest.mark.parametrize(
    ("uri", "ports"), [("hf://org/shown", [443]), ("s3://corp/shown.jsonl", [None]), ("pvc://shown/a", [])]
)
def test_reference_rows_are_reached_where_the_data_is_prepared_and_nowhere_else(uri: str, ports: list[int | None]) -> None:
    on_claims = {"model": {"uri": "pvc://models/x"}, "datasets": [{"uri": "pvc://data/rows.jsonl"}]}
    weighting = {"relevance": {"reference": {"uri": uri, "secretName": "shown"}}}
    job = stored(**on_claims, preparation={"weighting": weighting}, output={"uri": "pvc://models/y"})

    assert ports_outside(job, Stage.PREPARE) == ports
    assert ("/mnt/claims/shown" in claims_of(job, Stage.PREPARE)) == uri.startswith("pvc:")
    assert secrets_of(job, Stage.PREPARE)["REFERENCE_"] == "shown"
    for stage in (Stage.TRAIN, Stage.EVALUATE, Stage.PUBLISH):
        assert ports_outside(job, stage) == []
        assert "/mnt/claims/shown" not in claims_of(job, stage)
        assert "shown" not in secrets_of(job, stage).values()


def test_a_job_with_everything_on_claims_reaches_nothing_outside() -> None:
    assert all(ports_outside(CLASSIFICATION, stage) == [] for stage in Stage)


def test_the_users_rules_come_on_top_and_allow_opens_everything() -> None:
    extra = OWN_TRAINER.spec.network.allow[0]
    assert rules(OWN_TRAINER, Stage.TRAIN)[1][-1] == extra
    assert rules(stored(network={"egress": "allow"}), Stage.TRAIN)[1] == [{}]
