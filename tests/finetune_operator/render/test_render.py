"""What must hold of every child, beside the golden files: what a person would overlook in them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from builders import a_node
from finetune_api.contract.facts import ModelFacts
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.plan import plan
from finetune_operator.brain.stages import Stage
from finetune_operator.render import render
from known_models import llama_8b
from rendered import (
    ALL,
    CLASSIFICATION,
    EVERYTHING,
    GPUS,
    OWN_TRAINER,
    QUICKSTART,
    UID,
    children,
    claims_of,
    container_of,
    pod_of,
    settings,
    stored,
    variables,
)

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


# ---------------------------------------------------------------- volumes


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
    large = with_model(large, llama_8b())
    weights = 8_030_261_248 * 2 / 2**20
    assert _mebibytes(resources_of(large)["memory"]) > weights > _mebibytes(resources_of(small)["memory"])
    tight = {"installation": settings(a_node(memory_gib=12.0))}
    assert container_of(large, **tight)["resources"]["limits"]["memory"] == f"{12 * 1024}Mi"


def with_model(job: FineTuneJob, model: ModelFacts) -> FineTuneJob:
    facts = job.status.facts
    assert facts is not None
    found = facts.model_copy(update={"model": model})
    return job.model_copy(update={"status": job.status.model_copy(update={"facts": found})})


BIG = settings(a_node(memory_gib=2048.0))
SEVEN = llama_8b().model_copy(update={"parameters": 7_000_000_000})


def gibibytes_of(stage: Stage = Stage.TRAIN, **spec: Any) -> float:
    job = with_model(stored(**spec), SEVEN)
    return _mebibytes(container_of(job, stage, installation=BIG)["resources"]["limits"]["memory"]) / 1024


@pytest.mark.parametrize(
    ("gpus", "offloaded"),
    [
        (1, 130.4),  # 20 bytes of each of 7 billion weights, since its states do not fit one GPU
        (2, 0.0),
        (8, 0.0),
    ],
)
def test_training_all_weights_has_room_for_them_once_more_when_they_are_exported(gpus: int, offloaded: float) -> None:
    """7 billion weights in bf16 are 13.04 GiB. Each process is 3 GiB and has read them once, of which the allocator may keep
    all; the first gathers them once more at the end; and a GPU's share of /dev/shm is 1 GiB."""
    needed = gpus * (3 + 13.04) + 13.04 + gpus + offloaded
    asked = gibibytes_of(resources={"gpusPerNode": gpus}, method={"type": "full"})
    assert needed <= asked <= 1.3 * needed


def test_adapters_are_small_and_get_no_room_for_an_export() -> None:
    asked = gibibytes_of(resources={"gpusPerNode": 2})
    assert asked == pytest.approx(2 * (3 + 1.3 * 13.04) + 2, abs=0.01)


def test_weights_in_full_precision_take_twice_the_room() -> None:
    training = {"precision": "fp32"}
    for stage, spec in ((Stage.TRAIN, {}), (Stage.EVALUATE, {"method": {"type": "full"}})):
        asked = gibibytes_of(stage, resources={"gpusPerNode": 1}, training=training, **spec)
        assert asked == pytest.approx(3 + 1.3 * 26.08 + 1, abs=0.01)


def test_evaluation_holds_one_model_and_nothing_that_was_offloaded() -> None:
    asked = gibibytes_of(Stage.EVALUATE, resources={"gpusPerNode": 1}, method={"type": "full"})
    assert asked == pytest.approx(3 + 1.3 * 13.04 + 1, abs=0.01)


def test_an_evaluation_on_a_cpu_has_room_for_what_was_trained_in_pieces() -> None:
    spread = {"resources": {"nodes": 8, "gpusPerNode": 0}, "deepspeed": {"zeroStage": 3}}
    assert gibibytes_of(Stage.EVALUATE, **spread) > 26.08 > gibibytes_of(Stage.TRAIN, **spread)


def test_merging_has_room_for_the_base_in_fp32() -> None:
    job = with_model(stored(output={"uri": "pvc://models/x", "format": "merged"}), llama_8b())
    assert _mebibytes(resources_of(job, Stage.PUBLISH)["memory"]) > 8_030_261_248 * 4 / 2**20
