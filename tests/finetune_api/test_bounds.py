"""Every bound of the definition: a value on it is taken and one just beyond refused, by the schema and by the models alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bounds import Bound, bounds
from builders import a_manifest
from finetune_api.crd import custom_resource_definition
from finetune_api.errors import InvalidSpec
from finetune_api.parse import parse_job

if TYPE_CHECKING:
    from conftest import ApiServer

SPEC = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
BOUNDS = {f"{bound.path} {bound.what}": bound for bound in bounds(SPEC)}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_is_kept(server: ApiServer, name: str) -> None:
    bound: Bound = BOUNDS[name]
    assert server.takes(a_manifest(**bound.within))
    parse_job(a_manifest(**bound.within))
    beyond = a_manifest(**bound.beyond)
    assert not server.takes(beyond)
    with pytest.raises(InvalidSpec) as refused:
        parse_job(beyond)
    where = f"spec.{bound.path}".replace("[]", "[0]")
    assert any(str(problem).startswith(where) for problem in refused.value.problems), refused.value.problems
