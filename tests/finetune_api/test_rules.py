"""Every rule is said twice, in CEL for the API server and in Python for `finetune validate`: here both answer alike.

The CEL text is taken from the generated definition and evaluated on what the server would store, defaults filled in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel

from builders import a_manifest
from finetune_api.errors import InvalidSpec
from finetune_api.model import Model, Rule
from finetune_api.parse import parse_job
from finetune_api.v1alpha1.job import FineTuneJob
from rule_cases import CASES, CHANGES, MAY_CHANGE

if TYPE_CHECKING:
    from conftest import ApiServer
from strategies import manifests


def here(manifest: dict[str, Any]) -> list[str]:
    try:
        parse_job(manifest)
    except InvalidSpec as error:
        return [str(problem) for problem in error.problems]
    return []


# ---------------------------------------------------------------- the twins


@pytest.mark.parametrize("case", CASES)
def test_both_accept_it(server: ApiServer, case: str) -> None:
    accepted, _, _ = CASES[case]
    assert (here(accepted), server.broken(accepted)) == ([], [])


@pytest.mark.parametrize("case", CASES)
def test_both_refuse_it_with_the_same_words_at_the_same_place(server: ApiServer, case: str) -> None:
    _, refused, message = CASES[case]
    problems = here(refused)
    assert len(problems) == 1
    assert problems[0].startswith(message)
    said = {words for _, words in server.broken(refused)}
    assert len(said) == 1
    assert problems[0].startswith(said.pop())


def rules_of(model: type[BaseModel]) -> Iterator[Rule]:
    """Every rule of a model and of everything below it."""
    if issubclass(model, Model):
        yield from model.constraints
    for field in model.model_fields.values():
        yield from (rule for part in models_in(field.annotation) for rule in rules_of(part))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from models_in(inner)


def test_no_rule_is_without_a_case(server: ApiServer) -> None:
    tried = {rule for _, refused, _ in CASES.values() for rule, _ in server.broken(refused)}
    untried = {rule.cel for rule in rules_of(FineTuneJob)} - tried
    assert untried == set(), "add a case to tests/rule_cases.py"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(manifests())
def test_both_agree_on_every_manifest_of_the_right_shape(server: ApiServer, manifest: dict[str, Any]) -> None:
    assert sorted(here(manifest)) == sorted(words for _, words in server.broken(manifest))


# ---------------------------------------------------------------- changes


@pytest.mark.parametrize(
    ("old", "new", "field"),
    CHANGES,
)
def test_a_changed_field_is_refused_by_name(server: ApiServer, old: dict[str, Any], new: dict[str, Any], field: str) -> None:
    told = server.changes(a_manifest(**old), a_manifest(**new))
    assert told == [f"{field}: {field} cannot change after creation; a changed job is a new job"]


@pytest.mark.parametrize("policy", MAY_CHANGE)
def test_suspending_and_the_time_to_live_may_change_at_any_time(server: ApiServer, policy: dict[str, Any]) -> None:
    assert server.changes(a_manifest(), a_manifest(runPolicy=policy)) == []
    assert server.changes(a_manifest(runPolicy=policy), a_manifest()) == []
