"""The real API server and the resource: it takes the definition, keeps every rule and bound, fills in the models' defaults."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from bounds import Bound, bounds
from builders import a_manifest
from cluster.kube import ApiError, Kube, Manifest, is_true, wait_for
from cluster.machine import PROJECT
from cluster.namespaces import Namespace
from finetune_api.crd import custom_resource_definition
from finetune_api.v1alpha1.job import FineTuneJob
from rule_cases import CASES, CHANGES, MAY_CHANGE

SPEC = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
BLOCKS = sorted(name for name, node in SPEC["properties"].items() if node.get("type") == "object" and "required" not in node)
BOUNDS = {f"{bound.path} {bound.what}": bound for bound in bounds(SPEC)}

pytestmark = pytest.mark.usefixtures("definition")


def refusal(kube: Kube, manifest: Manifest) -> ApiError | None:
    """Why the server would not create it; None if it would."""
    try:
        kube.create(manifest, namespace="default", dryRun="All")
    except ApiError as error:
        if error.status != 422:
            raise
        return error
    return None


def test_the_definition_is_established_and_reports_no_problem(kube: Kube) -> None:
    found = kube.get("CustomResourceDefinition", "finetunejobs.finetune.dev")
    assert is_true(found, "Established")
    assert is_true(found, "NamesAccepted")
    assert not is_true(found, "NonStructuralSchema")


# ---------------------------------------------------------------- rules


@pytest.mark.parametrize("case", CASES)
def test_a_rule_accepts_what_keeps_it(kube: Kube, case: str) -> None:
    assert refusal(kube, CASES[case][0]) is None


@pytest.mark.parametrize("case", CASES)
def test_a_rule_refuses_what_breaks_it_with_our_words_at_our_field(kube: Kube, case: str) -> None:
    _, manifest, expected = CASES[case]
    words = expected.partition(": ")[2]
    error = refusal(kube, manifest)
    assert error is not None
    assert len(error.causes) == 1, error
    field, said = error.causes[0]["field"], error.causes[0]["message"]
    # The server tells no field of a rule about the name; there the words themselves name it.
    assert expected in (said if field == "<nil>" else f"{field}: {said[said.index(words) :]}")


@pytest.mark.parametrize(("old", "new", "field"), CHANGES)
def test_a_changed_field_is_refused_by_name(namespace: Namespace, old: Manifest, new: Manifest, field: str) -> None:
    namespace.create(a_manifest(**old))
    changed = a_manifest(**new)
    changed["metadata"]["resourceVersion"] = namespace.get("FineTuneJob", "support")["metadata"]["resourceVersion"]
    with pytest.raises(ApiError) as refused:
        namespace.kube.request("PUT", f"/apis/finetune.dev/v1alpha1/namespaces/{namespace.name}/finetunejobs/support", changed)
    assert refused.value.status == 422
    assert f"{field} cannot change after creation; a changed job is a new job" in refused.value.message


@pytest.mark.parametrize("policy", MAY_CHANGE)
def test_suspending_and_the_time_to_live_may_change_at_any_time(namespace: Namespace, policy: Manifest) -> None:
    namespace.create(a_manifest())
    off = dict.fromkeys(policy)
    namespace.kube.merge("FineTuneJob", "support", {"spec": {"runPolicy": policy}}, namespace=namespace.name)
    namespace.kube.merge("FineTuneJob", "support", {"spec": {"runPolicy": off}}, namespace=namespace.name)


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_is_kept(kube: Kube, name: str) -> None:
    bound: Bound = BOUNDS[name]
    assert refusal(kube, a_manifest(**bound.within)) is None
    error = refusal(kube, a_manifest(**bound.beyond))
    assert error is not None, "beyond the bound, and accepted"
    where = f"spec.{bound.path}".replace("[]", "[0]")
    assert where in {cause["field"] for cause in error.causes}, error


# ---------------------------------------------------------------- defaults


def stored(kube: Kube, **spec: Any) -> Manifest:
    """A spec as the server would keep it."""
    kept: Manifest = kube.create(a_manifest(**spec), namespace="default", dryRun="All")["spec"]
    return kept


def of_the_models(**spec: Any) -> Manifest:
    """A spec as the models read it, written down again."""
    job = FineTuneJob.model_validate(a_manifest(**spec))
    return job.spec.model_dump(mode="json", by_alias=True, exclude_none=True)


def flat(value: Any, path: str = "spec") -> Iterator[tuple[str, Any]]:
    """Every leaf with its path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from flat(inner, f"{path}[{index}]")
    else:
        yield path, value


def test_the_smallest_manifest_gets_the_defaults_of_the_models_field_by_field(kube: Kube) -> None:
    kept = dict(flat(stored(kube)))
    assert kept == dict(flat(of_the_models()))
    assert len(kept) > 40, "that a spec without defaults equals one without defaults would prove nothing"


@pytest.mark.parametrize("block", BLOCKS)
def test_an_empty_block_gets_the_defaults_of_the_models_field_by_field(kube: Kube, block: str) -> None:
    assert dict(flat(stored(kube, **{block: {}}))) == dict(flat(of_the_models(**{block: {}})))


def test_items_of_lists_get_no_defaults(kube: Kube) -> None:
    suites = [{"name": "exam", "uri": "s3://a/b"}]
    gates = [{"metric": "loss", "maxValue": 2}]
    kept = stored(kube, evaluation={"suites": suites, "gates": gates})
    assert (kept["evaluation"]["suites"], kept["evaluation"]["gates"]) == (suites, gates)
    assert kept["datasets"] == a_manifest()["spec"]["datasets"]


def test_a_job_that_nobody_has_seen_counts_as_in_progress(namespace: Namespace) -> None:
    assert namespace.create(a_manifest())["status"] == {"observedGeneration": 0}


def test_the_status_is_written_by_itself_and_not_with_the_spec(namespace: Namespace) -> None:
    job = namespace.create(a_manifest())
    with_status = copy.deepcopy(job)
    with_status["status"]["phase"] = "Succeeded"
    namespace.kube.merge("FineTuneJob", "support", {"status": {"phase": "Succeeded"}}, namespace=namespace.name)
    assert "phase" not in namespace.get("FineTuneJob", "support")["status"]
    namespace.kube.merge("FineTuneJob", "support", {"status": {"phase": "Training"}}, namespace=namespace.name, part="status")
    assert namespace.get("FineTuneJob", "support")["status"]["phase"] == "Training"


# ---------------------------------------------------------------- what people see


def test_explain_says_of_every_field_of_training_what_it_is(kube: Kube) -> None:
    explained = wait_for(
        lambda: kube.kubectl("explain", "finetunejob.spec.training").stdout, what="the definition in the server's OpenAPI"
    )
    for name, node in SPEC["properties"]["training"]["properties"].items():
        assert f"\n  {name}\t" in explained, explained
        assert " ".join(node["description"].split())[:60] in " ".join(explained.split())
    assert "<no description>" not in explained


@pytest.mark.parametrize(
    "path", ["", ".spec", ".spec.model", ".spec.datasets", ".spec.evaluation.gates", ".spec.runPolicy", ".status"]
)
def test_explain_has_a_sentence_for_everything(kube: Kube, path: str) -> None:
    assert "<no description>" not in kube.kubectl("explain", f"finetunejob{path}").stdout


def test_get_shows_the_columns_that_a_person_looks_for(namespace: Namespace) -> None:
    namespace.create(a_manifest())
    shown = namespace.kube.kubectl("get", "ftj", "-n", namespace.name).stdout.splitlines()
    assert shown[0].split() == ["NAME", "PHASE", "PROGRESS", "ETA", "BASE", "TUNED", "VERDICT", "RESTARTS", "AGE"]
    assert shown[1].split()[0] == "support"
    assert "support" in namespace.kube.kubectl("get", "finetune", "-n", namespace.name).stdout, "the category"


def test_apply_twice_changes_nothing_and_a_misspelt_field_is_refused(namespace: Namespace) -> None:
    text = yaml.safe_dump(a_manifest())
    kubectl = namespace.kube.kubectl
    kubectl("apply", "-n", namespace.name, "-f", "-", stdin=text)
    assert "unchanged" in kubectl("apply", "-n", namespace.name, "-f", "-", stdin=text).stdout
    wrong = yaml.safe_dump(a_manifest("other", traning={}))
    refused = kubectl("apply", "-n", namespace.name, "-f", "-", stdin=wrong, check=False)
    assert 'unknown field "spec.traning"' in refused.stderr


@pytest.mark.parametrize("example", sorted((PROJECT / "examples").glob("**/*job*.yaml")), ids=lambda path: path.parent.name)
def test_an_example_is_taken_as_it_is(kube: Kube, example: Any) -> None:
    for manifest in yaml.safe_load_all(example.read_text(encoding="utf-8")):
        if manifest and manifest.get("kind") == "FineTuneJob":
            manifest.setdefault("metadata", {}).pop("namespace", None)
            assert refusal(kube, manifest) is None
