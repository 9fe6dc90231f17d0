"""What Kubeflow Trainer's webhooks would fill in stands in the objects; its controllers keep the settings they ship with."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from kubeflow_objects import completed, jobset_settings, pinned, train_job, trainer_settings

SHIPPED = {
    "kind": "Configuration",
    "metrics": {"bindAddress": ":8443", "secureServing": True},
    "leaderElection": {"leaderElect": True, "leaseDuration": "15s"},
    "controller": {"groupKindConcurrency": {"TrainJob.trainer.kubeflow.org": 5}},
}


def test_a_runtime_is_completed_and_keeps_what_it_says():
    pod = {"containers": [{"name": "node", "image": "one"}]}
    job = {"name": "node", "template": {"metadata": {"labels": {"step": "trainer"}}, "spec": {"template": {"spec": pod}}}}
    runtime = {
        "metadata": {"name": "torch"},
        "spec": {"mlPolicy": {"torch": {}}, "template": {"spec": {"replicatedJobs": [job]}}},
    }
    before = copy.deepcopy(runtime)

    spec = completed(runtime)["spec"]["template"]["spec"]
    assert spec["successPolicy"] == {"operator": "All"}
    assert spec["network"]["enableDNSHostnames"]
    found = spec["replicatedJobs"][0]["template"]
    assert found["metadata"] == {"labels": {"step": "trainer"}}
    assert found["spec"]["completionMode"] == "Indexed"
    assert found["spec"]["template"]["spec"] == {"restartPolicy": "OnFailure", **pod}
    assert completed(runtime)["spec"]["mlPolicy"] == {"torch": {}}
    assert runtime == before

    pod["restartPolicy"] = "Never"
    found = completed(runtime)["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]
    assert found["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_a_job_asks_for_one_node_with_one_gpu_and_begins_at_once():
    spec = train_job("job-1", "here", {"nodeSelector": {"type": "kwok"}})["spec"]
    assert spec["trainer"]["numNodes"] == 1
    assert spec["trainer"]["resourcesPerNode"]["limits"] == {"nvidia.com/gpu": "1"}
    assert spec["suspend"] is False
    patched = spec["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"][0]
    assert patched["template"]["spec"]["template"]["spec"] == {"nodeSelector": {"type": "kwok"}}


def test_settings_that_ship_stay_except_for_where_the_process_is(tmp_path):
    trainer = trainer_settings(SHIPPED, "here")
    assert trainer["controller"] == SHIPPED["controller"]
    assert trainer["leaderElection"] == {"leaderElect": True, "leaseDuration": "15s", "resourceNamespace": "here"}
    assert trainer["metrics"]["secureServing"] is False
    assert trainer["metrics"]["bindAddress"].startswith("127.0.0.1:")
    assert trainer["certManagement"] == {"enable": False}

    jobset = jobset_settings(SHIPPED, "here", tmp_path)
    assert jobset["webhook"]["certDir"] == jobset["metrics"]["certDir"] == str(tmp_path)
    assert jobset["internalCertManagement"] == {"enable": False}
    listening = [settings["metrics"]["bindAddress"] for settings in (trainer, jobset)]
    assert len(set(listening)) == 2


def test_the_version_is_that_of_the_module_file():
    modules = Path(__file__).parents[1] / "cluster" / "bring_up" / "modules"
    trainer, jobset = ((modules / name / "go.mod").read_text() for name in ("kubeflow-trainer", "jobset"))
    assert pinned("github.com/kubeflow/trainer/v2", trainer).startswith("2.")
    # The trainer's manifests and JobSet's own have to be of one version.
    assert pinned("sigs.k8s.io/jobset", trainer) == pinned("sigs.k8s.io/jobset", jobset)
    with pytest.raises(ValueError, match="not in the module file"):
        pinned("sigs.k8s.io/jobsets", jobset)
