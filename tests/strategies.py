"""What hypothesis may think of: manifests, facts, ends of attempts."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from builders import a_manifest, some_data
from finetune_api.contract.exit_codes import ExitCode
from finetune_api.contract.facts import DataFacts, ModelFacts
from finetune_api.contract.result import StageError, StageResult
from finetune_api.v1alpha1.evaluation import Metric
from finetune_operator.brain.observation import Exit, ExitReason
from known_models import an_encoder, llama_8b, llama_70b, smollm_135m

names = st.sampled_from(["a", "b", "c"])
formats = st.sampled_from(["auto", "messages", "text", "classification", "tokens"])


def blocks(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A block of which each field may be left out."""
    return st.fixed_dictionaries({}, optional=fields)


def either(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def datasets() -> st.SearchStrategy[dict[str, Any]]:
    """A dataset, valid by itself."""
    more = {"name": names, "role": either("train", "validation", "test"), "format": formats, "weight": st.floats(0.5, 4)}
    return st.fixed_dictionaries({"uri": st.just("s3://a/b")}, optional=more)


def gates() -> st.SearchStrategy[dict[str, Any]]:
    """A gate with any number of bounds."""
    bound = st.floats(0, 2)
    bounds = {"minImprovement": bound, "maxRegression": bound, "minValue": bound, "maxValue": bound}
    return st.fixed_dictionaries({"metric": either(*map(str, Metric))}, optional={"suite": names, **bounds})


def evaluations() -> st.SearchStrategy[dict[str, Any]]:
    """An evaluation block of the right shape."""
    suite = st.fixed_dictionaries({"name": names, "uri": st.just("s3://a/b")})
    return blocks(
        baseline=st.booleans(),
        metrics=st.lists(either(*map(str, Metric)), min_size=1, max_size=3),
        suites=st.lists(suite, max_size=3),
        gates=st.lists(gates(), max_size=2),
    )


def weightings() -> st.SearchStrategy[dict[str, Any]]:
    """A weighting block of the right shape."""
    day, number = either("2024-02-29", "2026-11-30"), st.floats(0, 2)
    conditions = {
        "equals": names,
        "oneOf": st.just(["a"]),
        "present": st.booleans(),
        "atLeast": number,
        "atMost": number,
        "since": day,
        "until": day,
        "halfLifeDays": st.just(9),
        "asOf": day,
    }
    rule = st.fixed_dictionaries({"field": names, "weight": number}, optional=conditions)
    reference = st.fixed_dictionaries({"uri": st.just("s3://a/b")}, optional={"format": formats})
    return blocks(
        rules=st.lists(rule, max_size=2),
        relevance=blocks(description=names, reference=reference),
        quality=blocks(field=names, worst=number, best=number),
        bounds=blocks(min=number, max=st.floats(0.1, 2)),
    )


def manifests() -> st.SearchStrategy[dict[str, Any]]:
    """A manifest of the right shape, whose rules over several fields may be broken."""
    share = st.floats(0, 0.99)
    spec = blocks(
        task=either("chat", "classification", "extraction"),
        datasets=st.lists(datasets(), min_size=1, max_size=4),
        preparation=blocks(
            clean=blocks(minCharacters=st.integers(0, 3), maxCharacters=st.integers(1, 3)),
            deduplicate=either("none", "exact", "near"),
            nearSimilarity=st.just(0.9),
            contradictions=blocks(answerWords=st.integers(0, 1)),
            anonymize=blocks(
                strategy=either("none", "mask"), detectors=st.lists(st.just({"uri": "presidio+http://a:1"}), max_size=2)
            ),
            split=blocks(validation=share, test=share),
            weighting=weightings(),
        ),
        method=blocks(type=either("lora", "full", "dora"), lora=blocks(rank=either("auto", 8))),
        training=blocks(epochs=either("auto", 1), maxSteps=st.integers(1, 9), learningRate=st.floats(1e-6, 1)),
        deepspeed=blocks(zeroStage=either("auto", 0, 1, 2, 3), offload=either("auto", "none", "optimizer", "parameters")),
        evaluation=evaluations(),
        resources=blocks(nodes=st.integers(1, 3), cpu=either(4, "500m")),
        image=st.just("mine:1"),
        command=st.just(["python"]),
        workspace=blocks(claimName=names, size=st.just("5Gi"), accessMode=either("ReadWriteOnce", "ReadWriteMany")),
        output=st.fixed_dictionaries({"uri": st.just("s3://a/b")}, optional={"format": either("adapter", "merged")}),
    )
    return st.builds(lambda name, blocks: a_manifest(name, **blocks), either("job", "a" * 41, "a.b"), spec)


def models() -> st.SearchStrategy[ModelFacts]:
    """A causal language model from 135M to 70B."""
    return either(smollm_135m(), llama_8b(), llama_70b())


def data(largest: int = 20_000) -> st.SearchStrategy[DataFacts]:
    """Prepared data of any size and length."""
    return st.builds(
        lambda examples, mean, longest, supervised, held_out: some_data(
            examples, mean=min(mean, longest), longest=longest, supervised=supervised, held_out=held_out
        ),
        st.integers(1, largest),
        st.integers(1, 4000),
        st.integers(1, 8000),
        st.floats(0.05, 1.0),
        either(0, 100),
    )


ENCODER = an_encoder()


def exits() -> st.SearchStrategy[Exit]:
    """Any way in which an attempt can end without having done its work."""
    codes = st.one_of(st.none(), either(*[int(code) for code in ExitCode], 2, 139, 255))
    words = either("UserError", "DataError", "OutOfMemory", "Transient", "Interrupted", "Bug")
    told = st.builds(lambda word: StageResult(stage="train", error=StageError(error_class=word, message="it broke")), words)
    detail = st.one_of(st.none(), either("the node was low on resource: memory", "node gpu-07 was drained"))
    return st.builds(Exit, codes, either(*ExitReason), st.one_of(st.none(), told), detail)
