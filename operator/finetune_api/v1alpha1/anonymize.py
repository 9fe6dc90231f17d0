"""`spec.preparation.anonymize`: what is looked for in texts, and what takes its place."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from finetune_api.model import Matching, Model, Rule, SecretName, Text, source_uri

Entity = Literal[
    "EMAIL",
    "PHONE",
    "IBAN",
    "CREDIT_CARD",
    "TAX_ID",
    "SOCIAL_SECURITY",
    "VAT_ID",
    "LICENSE_PLATE",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "URL",
    "ADDRESS",
    "DATE_OF_BIRTH",
    "PERSON",
    "ORGANIZATION",
]
ENTITIES: tuple[str, ...] = get_args(Entity)
"""Every kind that can be looked for."""


_SIMPLE = r"^((\\[dw.-]|\[[A-Za-z0-9_-]+\]|[A-Za-z0-9 _/:#-])(\{[0-9]{1,2}(,[0-9]{1,2})?\}|\?)?)+$"
"""Patterns that are looked for in linear time: no groups, no repetition without a bound."""
_SAYS = r"made of letters, digits, \d, \w, [A-Z], {n}, {n,m} and ?, as in KD-\d{6,8}, without groups, * and +"
_FEW_CHOICES = "^([^?,]*[?,]){0,4}[^?,]*$"


class DeclaredPattern(Model):
    """Numbers of your own that lead to a person: customer, ticket, contract, personnel."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=40),
        Matching("^[A-Z][A-Z0-9_]*$", "capitals, digits and _, beginning with a letter, as in CUSTOMER_NUMBER"),
    ]
    """Kind under which they are counted, in capitals, as in CUSTOMER_NUMBER."""
    pattern: Annotated[str, Field(min_length=1, max_length=200), Matching(_SIMPLE, _SAYS)]
    """What they look like: letters and digits as they are, \\d for a digit, \\w for a letter or digit, [A-Z] for one of
    several, and {n}, {n,m} or ? for how many, as in KD-\\d{6,8}. No groups, * or +, and at most four of ? and {n,m}: so no
    text can make it slow."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.pattern.matches('{_FEW_CHOICES}')",
            holds=lambda declared: re.search(_FEW_CHOICES, declared.pattern) is not None,
            message="may have at most four of ? and {n,m}",
            field="pattern",
        ),
    )


DetectorUri = Annotated[
    str, Field(min_length=1, max_length=2048), *source_uri("hf", "s3", "pvc", "file", "presidio+http", "presidio+https")
]


class Detector(Model):
    """A further detector of the first look, beside those that are built in: a model of your own, or a service."""

    uri: DetectorUri
    """Where it is. hf://org/name, s3://bucket/path, pvc://claim/path or file:///path: a model for token classification in
    Hugging Face layout, which is run where the data is prepared. presidio+http://host:port or presidio+https://host:port: a
    Presidio analyzer, which is sent every text and must stand where your texts may go."""
    revision: Text | None = None
    """Branch, tag or commit of an hf:// model. Left out: main."""
    labels: Annotated[dict[str, Entity], Field(min_length=1, max_length=64)] | None = None
    """What its labels are called here, as in {PER: PERSON}, without B- and I-; labels that are not named are not used. Left
    out: the usual ones (PER, LOC, ORG; PERSON, EMAIL_ADDRESS and so on). What entities does not ask for is not used either."""
    min_score: Annotated[float, Field(gt=0, le=1)] | None = None
    """Score from which on it is believed; a lower one finds more, and more that is nothing. Left out: 0.5."""
    secret_name: SecretName | None = None
    """Secret with credentials: as for spec.model, or HTTPS_TOKEN for presidio+https."""


class Anonymize(Model):
    """Removal of personal data. Each example is looked at twice, by different means; what the second look still finds fails
    the job unless maxResidualRate allows it."""

    strategy: Literal["none", "surrogate", "mask", "redact", "hash"] = "none"
    """What takes the place of personal data. surrogate: an invented item of the same kind, the same one everywhere; mask: the
    name of its kind; redact: nothing; hash: a keyed hash. none: nothing is looked for and nothing is changed; the data report
    and the model card say so."""
    languages: Annotated[tuple[Literal["de", "en"], ...], Field(min_length=1, max_length=2)] = ("de", "en")
    """Languages of the texts, which decide about names, addresses and telephone numbers."""
    entities: Annotated[tuple[Entity, ...], Field(max_length=15)] = ()
    """Kinds to look for. Left out: all but ORGANIZATION."""
    patterns: Annotated[tuple[DeclaredPattern, ...], Field(max_length=16)] = ()
    """Numbers of your own."""
    detectors: Annotated[tuple[Detector, ...], Field(max_length=4)] = ()
    """Models and services that look beside the detectors which are built in."""
    max_residual_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the examples in which the second look may still find something."""
    secret_name: SecretName | None = None
    """Secret whose key KEY makes surrogates and hashes the same in every run. Left out: a new key for each run, which is
    forgotten at its end."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.strategy != 'none' || size(self.detectors) == 0",
            holds=lambda said: said.strategy != "none" or not said.detectors,
            message="strategy none asks no detector; name another strategy, or no detectors",
            field="detectors",
        ),
    )
