"""`spec.model`, `spec.datasets`, `spec.preparation` and `spec.output`: what goes in, how it is prepared, where it goes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from finetune_api.model import (
    AutoInt,
    Label,
    Model,
    OrAuto,
    Rule,
    SecretName,
    Text,
    unavailable,
    uri,
)

ModelUri = Annotated[str, Field(min_length=1, max_length=2048), uri("hf", "s3", "pvc", "https", "file")]
DatasetUri = Annotated[str, Field(min_length=1, max_length=2048), uri("hf", "s3", "pvc", "https", "file", "configMap")]
OutputUri = Annotated[str, Field(min_length=1, max_length=2048), uri("pvc", "s3", "hf", "file")]

Role = Literal["train", "validation", "test"]
DataFormat = Literal["auto", "messages", "prompt_completion", "instruction", "text", "classification", "tokens", "preference"]


class ModelSource(Model):
    """The base model: a Hugging Face directory with safetensors weights, or one GGUF file."""

    uri: ModelUri
    """Where the base model is: hf://org/name, s3://bucket/path, pvc://claim/path, https://host/file.gguf or file:///path.
    A directory in Hugging Face layout, or a single .gguf file, which is dequantised once."""
    revision: Text = "main"
    """Branch, tag or commit of an hf:// model. It is resolved to a commit, which the status records."""
    secret_name: SecretName | None = None
    """Secret with credentials for the URI: HF_TOKEN, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Leave it off unless you have read that code."""
    chat_template: Annotated[str, Field(min_length=1, max_length=65536)] | None = None
    """Jinja chat template to use instead of the tokenizer's own."""


class FieldMapping(Model):
    """Names of your fields where they differ from those of the format. Leave out what has the usual name."""

    messages: Text | None = None
    """Field with the list of {role, content} messages."""
    prompt: Text | None = None
    """Field with the prompt (also: the instruction)."""
    completion: Text | None = None
    """Field with the answer (also: the output)."""
    input: Text | None = None
    """Field with the optional further input of an instruction."""
    system: Text | None = None
    """Field with the system prompt of the row."""
    text: Text | None = None
    """Field with the text, for the formats text and classification."""
    label: Text | None = None
    """Field with the label, for the format classification."""
    weight: Text | None = None
    """Field with the row's own loss weight, a number >= 0. Rows without it weigh 1."""


class Dataset(Model):
    """One source of examples."""

    name: Label | None = None
    """Short name, used in reports and messages. Left out: data-1, data-2 and so on."""
    uri: DatasetUri
    """Where the data is: a file, a directory or a pattern such as s3://bucket/tickets/*.jsonl.gz.
    JSONL, JSON, CSV and Parquet, plain or compressed with gzip or zstandard."""
    revision: Text | None = None
    """Branch, tag or commit of an hf:// dataset; main if left out."""
    role: Role | None = None
    """train, validation or test; train if left out. A dataset given as test is never trained on."""
    format: DataFormat | None = None
    """Shape of the rows; auto if left out: decided from the first rows, and the report says why."""
    fields: FieldMapping | None = None
    """Field names, where they differ from those of the format."""
    weight: Annotated[float, Field(gt=0, le=100)] | None = None
    """Mixing weight: how often each example is seen per epoch; 1 if left out. 2 shows every example twice, 0.5 shows a
    different half of them each epoch. It changes frequency, not the loss; for the loss see preparation.weighting."""
    secret_name: SecretName | None = None
    """Secret with credentials for the URI."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        unavailable(
            "format", "tokens", "preference", instead="messages, prompt_completion, instruction, text or classification"
        ),
    )


class Clean(Model):
    """Correction of each text before anything else looks at it."""

    unicode: bool = True
    """Bring text to Unicode NFC and remove characters that are no text (lone surrogates, byte order marks)."""
    control_characters: bool = True
    """Remove control characters except newline and tab."""
    whitespace: bool = True
    """Use \\n line ends, cut blanks at line ends and at both ends of a text, keep at most one empty line in a row."""
    html: bool = False
    """Turn HTML into plain text: tags go, entities become characters, scripts and styles are dropped."""
    min_characters: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """Drop examples whose answer (or text) is shorter."""
    max_characters: Annotated[int, Field(ge=1, le=100_000_000)] = 1_000_000
    """Drop examples whose texts are longer together."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.minCharacters <= self.maxCharacters",
            holds=lambda clean: clean.min_characters <= clean.max_characters,
            message="must not be larger than maxCharacters",
            field="minCharacters",
        ),
    )


class Anonymize(Model):
    """Removal of personal data."""

    strategy: Literal["none", "surrogate", "mask", "redact", "hash"] = "none"
    """What takes the place of personal data. none: nothing is looked for and nothing is changed; the data report and the
    model card say so."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        unavailable("strategy", "surrogate", "mask", "redact", "hash", instead="none and anonymised data"),
    )


class WeightRule(Model):
    """One rule of loss weighting: rows whose field has this value weigh that much."""

    field: Text
    """Name of a field of your rows; a dot goes into objects, as in meta.priority."""
    equals: Annotated[str, Field(max_length=1024)]
    """Value the field must have, as text: 3 matches the number 3, true matches the Boolean."""
    weight: Annotated[float, Field(ge=0, le=1000)]
    """Factor on the loss of such rows. Weights of several matching rules multiply; 0 leaves the row out."""


class Weighting(Model):
    """Importance of examples, as a factor on their loss."""

    rules: Annotated[tuple[WeightRule, ...], Field(max_length=64)] = ()
    """Rules on fields of the rows, all applied to every row."""


class Split(Model):
    """How examples are held out. An example's group decides, by a hash of the group and the seed: so the split is the same
    on every machine and in every order of the files, and no group is on both sides."""

    validation: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share held out for validation: early stopping and the choice of the best checkpoint. Left out: 0.1, or 0 where a
    dataset has the role validation."""
    test: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share held out for the comparison of base and tuned model, looked at once. Left out: 0.1, or 0 where a dataset has
    the role test."""
    group_by: Text | None = None
    """Field that names the group (customer, contract, page): examples of one group stay together. Left out, examples with
    the same prompt are one group."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 17
    """Seed of the split."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(has(self.validation) ? self.validation : 0.1) + (has(self.test) ? self.test : 0.1) < 1.0",
            holds=lambda split: _or(split.validation, 0.1) + _or(split.test, 0.1) < 1.0,
            message="validation and test together must leave something to train on",
            field="validation",
        ),
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


class Preparation(Model):
    """From rows to tokens: correction, deduplication, anonymisation, weighting, split."""

    clean: Clean = Clean()
    """Correction of texts."""
    deduplicate: Literal["none", "exact", "near"] = "exact"
    """Removal of repeated examples, also across datasets; an example that stands in a test or validation dataset is
    removed from the training data."""
    anonymize: Anonymize = Anonymize()
    """Removal of personal data."""
    weighting: Weighting = Weighting()
    """Importance of examples."""
    split: Split = Split()
    """Held-out examples."""
    max_length: Annotated[AutoInt, OrAuto(8, 1_048_576)] = "auto"
    """Longest example in tokens. auto: the 99th percentile of the data, at most what the model can take."""
    overlong: Literal["fail", "drop", "truncate"] = "fail"
    """What happens to longer examples. fail: drop them, but end with an error when they are more than 5 %."""

    constraints: ClassVar[tuple[Rule, ...]] = (unavailable("deduplicate", "near", instead="exact or none"),)


class Output(Model):
    """Where the result goes."""

    uri: OutputUri
    """Target: pvc://claim/path, s3://bucket/path, hf://org/name or file:///path. Readers see all of it or nothing."""
    format: Literal["adapter", "merged"] | None = None
    """adapter: the LoRA adapter alone, for servers that load adapters. merged: a full model directory. Left out: adapter
    for lora, merged for full."""
    secret_name: SecretName | None = None
    """Secret with credentials for the URI."""
