"""What must hold of every child, beside the golden files: what a person would overlook in them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from builders import a_node
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.plan import plan
from finetune_operator.brain.stages import Stage
from finetune_operator.render import Manifest, render
from known_models import llama_8b
from rendered import (
    CLASSIFICATION,
    EVERYTHING,
    GPU_NODE,
    OWN_TRAINER,
    QUICKSTART,
    UID,
    children,
    container_of,
    pod_of,
    settings,
    stored,
    variables,
)

JOBS = [QUICKSTART, CLASSIFICATION, OWN_TRAINER, EVERYTHING]
ALL = [(job, stage) for job in JOBS for stage in Stage]
GPUS = {"installation": settings(GPU_NODE)}


# ---------------------------------------------------------------- names and owners


@pytest.mark.parametrize(("job", "stage"), ALL)
def test_every_child_is_owned_by_the_job_and_lies_beside_it(job: FineTuneJob, stage: Stage) -> None:
    for child in children(job, stage, **GPUS).values():
        (owner,) = child["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"], child["metadata"]["namespace"]) == (UID, True, "team")
        assert child["metadata"]["labels"]["finetune.dev/job"] == job.name


def test_the_longest_name_still_fits_every_childs_and_host_name() -> None:
    job = stored("a" * 40, resources={"nodes": 1000, "gpusPerNode": 0})
    for stage in Stage:
        child = children(job, stage, number=9999)["Job"]["metadata"]["name"]
        assert len(f"{child}-999") <= 63


def test_two_attempts_share_no_name_by_which_their_pods_could_meet() -> None:
    first, second = (children(QUICKSTART, number=number) for number in (1, 2))
    hosts = [variables(QUICKSTART, number=number)["MASTER_ADDR"] for number in (1, 2)]
    assert hosts == ["quickstart-train-1-0.quickstart-train", "quickstart-train-2-0.quickstart-train"]
    assert first["Job"]["metadata"]["name"] != second["Job"]["metadata"]["name"]
    assert first["ConfigMap"]["metadata"]["name"] != second["ConfigMap"]["metadata"]["name"]
    assert first["Service"] == second["Service"]


def test_what_a_pod_needs_comes_before_the_job_that_makes_it() -> None:
    installation = settings()
    planned = plan(QUICKSTART.spec, QUICKSTART.status.facts, installation.machine)
    kinds = [child["kind"] for child in render(QUICKSTART, planned, AttemptName(Stage.TRAIN, 1), installation)]
    assert kinds == ["PersistentVolumeClaim", "NetworkPolicy", "Service", "ConfigMap", "Job"]


def test_prepare_is_rendered_before_anything_is_known_of_the_model() -> None:
    new = FineTuneJob.model_validate({**yaml.safe_load(_as_yaml(QUICKSTART)), "status": {}})
    planned = plan(new.spec, None, a_node())
    assert render(new, planned, AttemptName(Stage.PREPARE, 1), settings())[-1]["kind"] == "Job"


def _as_yaml(job: FineTuneJob) -> str:
    return yaml.safe_dump(job.model_dump(mode="json", by_alias=True, exclude_none=True))


# ---------------------------------------------------------------- the child Job


@pytest.mark.parametrize(("job", "stage"), ALL)
def test_a_child_job_never_tries_again_and_leaves_its_end_to_us(job: FineTuneJob, stage: Stage) -> None:
    spec = children(job, stage, **GPUS)["Job"]["spec"]
    pods = job.spec.resources.nodes if stage is Stage.TRAIN else 1
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (pods, pods, 0)
    for ours in ("suspend", "ttlSecondsAfterFinished", "activeDeadlineSeconds", "successPolicy", "backoffLimitPerIndex"):
        assert ours not in spec


def test_only_what_the_user_queued_is_labelled_for_kueue() -> None:
    labels = children(EVERYTHING, **GPUS)["Job"]["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "gpu-queue"
    assert labels["kueue.x-k8s.io/priority-class"] == "high"
    assert "team" not in labels
    assert not [name for name in children(QUICKSTART)["Job"]["metadata"]["labels"] if "kueue" in name]


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


def secrets_of(job: FineTuneJob, stage: Stage) -> dict[str, str]:
    sources = container_of(job, stage, **GPUS).get("envFrom", ())
    return {source["prefix"]: source["secretRef"]["name"] for source in sources if "secretRef" in source}


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


def test_a_job_with_everything_on_claims_reaches_nothing_outside() -> None:
    assert all(ports_outside(CLASSIFICATION, stage) == [] for stage in Stage)


def test_the_users_rules_come_on_top_and_allow_opens_everything() -> None:
    extra = OWN_TRAINER.spec.network.allow[0]
    assert rules(OWN_TRAINER, Stage.TRAIN)[1][-1] == extra
    assert rules(stored(network={"egress": "allow"}), Stage.TRAIN)[1] == [{}]


# ---------------------------------------------------------------- volumes


def claims_of(job: FineTuneJob, stage: Stage) -> dict[str, str]:
    """Claims of the pod, each with the path at which it is mounted and how."""
    names = {
        v["name"]: v["persistentVolumeClaim"]["claimName"]
        for v in pod_of(job, stage, **GPUS)["volumes"]
        if "persistentVolumeClaim" in v
    }
    mounts = container_of(job, stage, **GPUS)["volumeMounts"]
    return {
        m["mountPath"]: f"{names[m['name']]}{' (read only)' if m.get('readOnly') else ''}" for m in mounts if m["name"] in names
    }


def test_a_claim_is_written_where_something_is_published_and_nowhere_else() -> None:
    job, place = CLASSIFICATION, "/mnt/claims/models"
    assert [claims_of(job, stage)[place] for stage in Stage] == [*["models (read only)"] * 3, "models"]
    assert claims_of(QUICKSTART, Stage.TRAIN) == {"/workspace": "quickstart-workspace"}


def test_orders_name_the_directories_at_which_claims_and_config_maps_are_mounted() -> None:
    text = children(EVERYTHING, Stage.PREPARE, **GPUS)["ConfigMap"]["data"]["job.json"]
    told: dict[str, Any] = yaml.safe_load(text)["mounts"]
    places = {mount["mountPath"] for mount in container_of(EVERYTHING, Stage.PREPARE, **GPUS)["volumeMounts"]}
    assert {*told["claims"].values(), *told["configMaps"].values()} == {"/mnt/claims/suites", "/mnt/config-maps/exam"}
    assert {*told["claims"].values(), *told["configMaps"].values()} <= places


def test_a_claim_that_is_workspace_and_source_is_one_volume() -> None:
    job = stored(model={"uri": "pvc://shared/model"}, workspace={"claimName": "shared"})
    assert claims_of(job, Stage.TRAIN) == {"/workspace": "shared", "/mnt/claims/shared": "shared (read only)"}
    assert len([volume for volume in pod_of(job, **GPUS)["volumes"] if "persistentVolumeClaim" in volume]) == 1


def test_a_claim_of_the_users_is_not_created_and_each_job_works_in_a_folder_of_its_own() -> None:
    found = children(CLASSIFICATION)
    assert "PersistentVolumeClaim" not in found
    assert yaml.safe_load(found["ConfigMap"]["data"]["job.json"])["workspace"] == "/workspace/ticket-routing-4f1f2f6e"


@pytest.mark.parametrize(("nodes", "mode"), [(1, "ReadWriteOnce"), (2, "ReadWriteMany")])
def test_several_nodes_need_a_claim_that_all_can_write(nodes: int, mode: str) -> None:
    claim = children(stored(resources={"nodes": nodes, "gpusPerNode": 0}), Stage.PREPARE)["PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == [mode]


# ---------------------------------------------------------------- what the user may add


def test_the_users_words_never_take_the_place_of_ours() -> None:
    template = children(EVERYTHING, **GPUS)["Job"]["spec"]["template"]
    assert template["metadata"]["labels"]["finetune.dev/job"] == "support"
    assert template["metadata"]["labels"]["cost-centre"] == "42"
    found = variables(EVERYTHING, **GPUS)
    assert found["MASTER_ADDR"] == "support-train-1-0.support-train"
    assert found["NCCL_SOCKET_IFNAME"] == "ib0"  # a default, which the user knows better


def test_nobody_sets_the_completion_index() -> None:
    job = stored(podTemplate={"env": [{"name": "JOB_COMPLETION_INDEX", "value": "0"}]})
    assert "JOB_COMPLETION_INDEX" not in variables(job, **GPUS)


def test_a_toleration_of_a_lost_node_that_the_user_names_is_the_users() -> None:
    key = "node.kubernetes.io/unreachable"
    job = stored(scheduling={"tolerations": [{"key": key, "operator": "Exists", "tolerationSeconds": 600}]})
    found = [t["tolerationSeconds"] for t in pod_of(job, **GPUS)["tolerations"] if t["key"] == key]
    assert found == [600]


def test_every_stage_is_placed_alike_so_that_the_workspace_is_within_reach() -> None:
    placed = [pod_of(EVERYTHING, stage, **GPUS) for stage in Stage]
    assert {str((pod["nodeSelector"], pod["schedulerName"], pod["priorityClassName"])) for pod in placed} == {
        str(({"zone": "a"}, "gang", "training"))
    }


def test_a_program_of_the_users_trains_in_its_image_and_the_other_stages_in_ours() -> None:
    images = [container_of(OWN_TRAINER, stage, **GPUS)["image"] for stage in Stage]
    ours = settings().trainer_image
    assert images == [ours, "registry.example/team/trainer:7", ours, ours]
    assert container_of(OWN_TRAINER, **GPUS)["command"] == ["torchrun", "train.py"]


def test_an_image_without_a_program_runs_every_stage() -> None:
    job = stored(image="registry.example/ours-and-more:1")
    assert {container_of(job, stage, **GPUS)["image"] for stage in Stage} == {"registry.example/ours-and-more:1"}


# ---------------------------------------------------------------- room


def resources_of(job: FineTuneJob, stage: Stage = Stage.TRAIN) -> dict[str, Any]:
    found = container_of(job, stage, **GPUS)["resources"]
    assert found["requests"] == found["limits"]
    return dict(found["requests"])


def test_training_gets_its_gpus_share_of_the_nodes_cores() -> None:
    """16 cores and 8 GPUs on a node: two cores for each GPU."""
    for gpus, cores in ((1, 2), (4, 8), (8, 16)):
        wanted = resources_of(stored(resources={"gpusPerNode": gpus}))
        assert (wanted["cpu"], wanted["nvidia.com/gpu"]) == (cores, gpus)


def test_what_the_manifest_says_is_what_is_asked_for() -> None:
    said = {"gpusPerNode": 2, "gpuResource": "nvidia.com/mig-1g.10gb", "cpu": "1500m", "memory": "20Gi", "sharedMemory": "1Gi"}
    job = stored(resources=said)
    assert resources_of(job) == {"cpu": "1500m", "memory": "20Gi", "nvidia.com/mig-1g.10gb": 2}
    (shared,) = [v["emptyDir"] for v in pod_of(job, **GPUS)["volumes"] if v["name"] == "finetune-shared-memory"]
    assert shared == {"medium": "Memory", "sizeLimit": "1Gi"}


def test_one_gpu_evaluates_and_none_prepares_or_publishes() -> None:
    job = stored(resources={"nodes": 2, "gpusPerNode": 8})
    assert [resources_of(job, stage).get("nvidia.com/gpu", 0) for stage in Stage] == [0, 8, 1, 0]
    assert variables(job, Stage.PREPARE, **GPUS)["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "NVIDIA_VISIBLE_DEVICES" not in variables(job, **GPUS)


def _mebibytes(quantity: object) -> int:
    return int(str(quantity).removesuffix("Mi"))


def test_memory_grows_with_the_model_and_is_never_more_than_a_node_has() -> None:
    small, large = stored(resources={"gpusPerNode": 1}), stored(resources={"gpusPerNode": 1})
    facts = large.status.facts
    assert facts is not None
    bigger = facts.model_copy(update={"model": llama_8b()})
    large = large.model_copy(update={"status": large.status.model_copy(update={"facts": bigger})})
    weights = 8_030_261_248 * 2 / 2**20
    assert _mebibytes(resources_of(large)["memory"]) > weights > _mebibytes(resources_of(small)["memory"])
    tight = {"installation": settings(a_node(memory_gib=12.0))}
    assert container_of(large, **tight)["resources"]["limits"]["memory"] == f"{12 * 1024}Mi"


def test_merging_has_room_for_the_base_in_fp32() -> None:
    job = stored(output={"uri": "pvc://models/x", "format": "merged"})
    facts = job.status.facts
    assert facts is not None
    job = job.model_copy(
        update={"status": job.status.model_copy(update={"facts": facts.model_copy(update={"model": llama_8b()})})}
    )
    assert _mebibytes(resources_of(job, Stage.PUBLISH)["memory"]) > 8_030_261_248 * 4 / 2**20
