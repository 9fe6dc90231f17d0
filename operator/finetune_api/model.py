"""What every part of the resource is made of: a pydantic base, rules said in CEL and in Python, and a few field types.

The API server enforces the generated schema, `finetune validate` enforces the models; a job that passes one and fails
the other would be a trap. So a bound is written once and used by both, and a rule over several fields carries its CEL
text and its Python twin side by side (tests/finetune_api/test_rules.py holds the twins together).
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition over several fields of one object.

    Args:
        cel: the condition for the API server (Common Expression Language), `self` being the object.
        holds: the same condition in Python, given the model.
        message: what the user reads when it does not hold.
        field: the field below the object to which the message belongs, in camelCase; None for the object itself.
    """

    cel: str
    holds: Callable[[Any], bool]
    message: str
    field: str | None = None

    def validation(self) -> dict[str, str]:
        """This rule as an item of `x-kubernetes-validations`."""
        path = {"fieldPath": f".{self.field}"} if self.field else {}
        return {"rule": self.cel, "message": self.message, **path}


def unavailable(field: str, *values: str, instead: str) -> Rule:
    """A rule that refuses values which the resource defines and this version cannot carry out.

    They are part of the resource, so that a manifest written for a later version is understood and refused by name; an
    option that is accepted and ignored would be worse than none.
    """
    listed = ", ".join(f"'{value}'" for value in values)
    attribute = re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), field)

    def holds(model: Any) -> bool:
        return getattr(model, attribute) not in values

    return Rule(
        cel=f"!has(self.{field}) || !(self.{field} in [{listed}])",
        holds=holds,
        message=f"{', '.join(values)}: not available in this version; use {instead}",
        field=field,
    )


class Model(BaseModel):
    """Base of all parts of the resource: camelCase outside, frozen, unknown fields ignored.

    Unknown fields are ignored because the server prunes them and an older operator must survive a newer CRD; what a person
    hands to `finetune` is checked for them in `parse.py`. Numbers are finite: JSON and the API server know no others.
    Field docstrings become the descriptions of `kubectl explain`.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, allow_inf_nan=False)

    constraints: ClassVar[tuple[Rule, ...]] = ()
    """Conditions over several fields of this object."""
    mutable: ClassVar[tuple[str, ...] | None] = None
    """Fields that may change after creation; None: nothing is said here about changes."""
    path: ClassVar[str] = ""
    """Where an object with `mutable` stands in the manifest; for the message alone."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        for name, text in _field_docstrings(cls).items():
            schema["properties"][cls.model_fields[name].alias or name]["description"] = text
        validations = [rule.validation() for rule in cls.constraints]
        if cls.mutable is not None:
            names = [field.alias or name for name, field in cls.model_fields.items()]
            validations += [_frozen(name, cls.path) for name in names if name not in cls.mutable]
        if validations:
            schema["x-kubernetes-validations"] = validations
        return schema


def _field_docstrings(cls: type[Model]) -> dict[str, str]:
    """The texts beneath the fields of a model, read from its source.

    pydantic can do this by itself, but at import: a fifth of the time in which `finetune validate` has to answer.
    """
    found: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        if not issubclass(ancestor, Model) or ancestor is Model:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(ancestor))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, below in pairwise(body.body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    if name in cls.model_fields:
                        found[name] = inspect.cleandoc(text)
                case _:
                    pass
    return found


def _frozen(name: str, path: str) -> dict[str, str]:
    """Immutability of one field, said by its parent.

    A transition rule on an optional field itself is skipped when the field appears or disappears, so it would let a user
    add or remove the block (seen on Kubernetes 1.36). The parent sees both.
    """
    return {
        "rule": f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})",
        "message": f"{path}.{name} cannot change after creation; a changed job is a new job",
        "fieldPath": f".{name}",
        "reason": "FieldValueForbidden",
    }


# ---------------------------------------------------------------- field types


def as_server(pattern: str) -> re.Pattern[str]:
    """A pattern with the API server's meaning (RE2): `$` is the very end, and classes know ASCII alone.

    Python's `$` also matches before a last line end, so a name with one would be valid here and refused there.
    """
    return re.compile(re.sub(r"\$$", r"\\Z", pattern), re.ASCII)


@dataclass(frozen=True, slots=True)
class Matching:
    """A string that matches an RE2 pattern, with a sentence that says what that means."""

    pattern: str
    says: str
    by_rule: bool = False
    """Said by a rule with its sentence: of a pattern the server prints nothing but the pattern."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        compiled = as_server(self.pattern)

        def check(value: str) -> str:
            if not compiled.search(value):
                raise PydanticCustomError("not_matching", "must be {says}", {"says": self.says})
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        if not self.by_rule:
            return {**schema, "pattern": self.pattern}
        rule = {"rule": f"self.matches(r'{self.pattern}')", "message": f"must be {self.says}"}
        return {**schema, "x-kubernetes-validations": [*schema.get("x-kubernetes-validations", ()), rule]}


@dataclass(frozen=True, slots=True)
class OrAuto:
    """A whole number within bounds, or the word `auto`.

    A structural schema has no union but int-or-string, so the bounds are said in CEL. There is no float-or-string at all:
    fractional fields say `auto` by being left out.
    """

    minimum: int
    maximum: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def check(value: Any) -> int | str:
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value == "auto" or (whole and self.minimum <= value <= self.maximum):
                return "auto" if value == "auto" else int(value)
            raise PydanticCustomError(
                "not_auto",
                "must be a whole number from {minimum} to {maximum}, or auto",
                {"minimum": self.minimum, "maximum": self.maximum},
            )

        return core_schema.no_info_plain_validator_function(check)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        bounds = f"self >= {self.minimum} && self <= {self.maximum}"
        return {
            "x-kubernetes-int-or-string": True,
            "x-kubernetes-validations": [
                {
                    "rule": f"type(self) == int ? {bounds} : self == 'auto'",
                    "message": f"must be a whole number from {self.minimum} to {self.maximum}, or auto",
                }
            ],
        }


AutoInt = int | Literal["auto"]

DNS_LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
JOB_NAME_MAX = 40
JOB_NAME_SAYS = f"at most {JOB_NAME_MAX} characters of a-z, 0-9 and -, beginning with a letter (no dots)"

Text = Annotated[str, Field(min_length=1, max_length=1024)]
Label = Annotated[
    str,
    Field(min_length=1, max_length=40),
    Matching(DNS_LABEL, "lower-case letters, digits and -, beginning with a letter, at most 40 characters"),
]
_OBJECT = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Matching(f"^{_OBJECT}$", "the name of a Kubernetes object: lower-case letters, digits, - and ."),
]
SecretName = ObjectName


@dataclass(frozen=True, slots=True)
class QuantityMarker:
    """A Kubernetes quantity: a whole number, or a string that matches an RE2 pattern.

    Args:
        pattern: of the strings.
        says: what it means, for the message.
    """

    pattern: str
    says: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = as_server(self.pattern)

        def check(value: Any) -> int | str:
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            if whole or (isinstance(value, str) and written.search(value)):
                return value if isinstance(value, str) else int(value)
            raise PydanticCustomError("not_quantity", "must be {says}", {"says": self.says})

        return core_schema.no_info_plain_validator_function(check)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "x-kubernetes-int-or-string": True,
            "pattern": self.pattern,  # speaks of texts alone
            "x-kubernetes-validations": [{"rule": "type(self) == int ? self >= 0 : true", "message": f"must be {self.says}"}],
        }


Quantity = Annotated[
    int | str,
    QuantityMarker(
        r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$",
        "a quantity such as 4, 500m or 16Gi",
    ),
]
CORES = r"^[0-9]+(\.[0-9]+)?m?$"
CpuQuantity = Annotated[int | str, QuantityMarker(CORES, "a number of cores such as 4, 1.5 or 500m")]
"""Cores have no suffix but m: 16Gi of them is a slip of the line that says `memory`."""


def uri(*schemes: str) -> Matching:
    """A URI of one of these schemes, without blanks."""
    listed = ", ".join(f"{scheme}://" for scheme in schemes)
    return Matching(rf"^({_either(schemes)})://[^\s]+$", f"a URI without blanks (%20) that begins with one of {listed}")


_PART = r"([^\s/.]|\.[^\s/.]|\.\.[^\s/])[^\s/]*"
"""What stands between two slashes: neither . nor .., which would lead out of a volume. RE2 cannot look ahead."""
_PARTS = f"(/({_PART})?)*"
_MOUNTED = ("pvc", "configMap")
"""Schemes whose first part names an object in the job's namespace, which a pod mounts by that name."""


def source_uri(*schemes: str) -> tuple[Matching, Matching]:
    """A URI of one of these schemes; claims and ConfigMaps by names that there can be: else no pod could be made."""
    mounted = [scheme for scheme in schemes if scheme in _MOUNTED]
    others = [scheme for scheme in schemes if scheme not in _MOUNTED]
    says = "a claim or ConfigMap by its name in lower case, and no . or .. in its path"
    named = rf"^(({_either(others)})://[^\s]+|({_either(mounted)})://{_OBJECT}{_PARTS})$"
    return uri(*schemes), Matching(named, says, by_rule=True)


def target_uri() -> tuple[Matching, Matching]:
    """A URI at which something can be published: else it would be found out after the training."""
    own = f"/+{_PART}{_PARTS}"
    place = rf"^(pvc://{_OBJECT}{own}|s3://[^\s/]+{own}|hf://[^\s/]+/[^\s/@]+(@[^\s]+)?/?|file://[^\s]+)$"
    says = "a place of its own: pvc://claim/path, s3://bucket/path, hf://org/name, without . or .. in a path"
    return uri("pvc", "s3", "hf", "file"), Matching(place, says, by_rule=True)


def _either(schemes: Sequence[str]) -> str:
    return "|".join(scheme.replace("+", r"\+") for scheme in schemes)
