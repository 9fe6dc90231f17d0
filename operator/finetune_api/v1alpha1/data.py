"""`spec.model`, `spec.datasets` and `spec.output`: what goes in, and where it goes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from finetune_api.model import Label, Model, Rule, SecretName, Text, source_uri, target_uri, unavailable

ModelUri = Annotated[str, Field(min_length=1, max_length=2048), *source_uri("hf", "s3", "pvc", "https", "file")]
DatasetUri = Annotated[str, Field(min_length=1, max_length=2048), *source_uri("hf", "s3", "pvc", "https", "file", "configMap")]
OutputUri = Annotated[str, Field(min_length=1, max_length=2048), *target_uri()]

Role = Literal["train", "validation", "test"]
DataFormat = Literal[
    "auto", "messages", "prompt_completion", "instruction", "tickets", "text", "classification", "tokens", "preference"
]


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
    license: Text | None = None
    """Licence of the base model, such as apache-2.0. It is told in report and model card; nothing is checked."""


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


class MailSettings(Model):
    """How mailboxes are understood."""

    inside_domains: Annotated[tuple[Text, ...], Field(min_length=1, max_length=64)] | None = None
    """Domains or addresses from which answers come, such as firma.example; subdomains count. Left out: who begins a thread is
    outside, and whoever else writes in it is inside."""


class DocumentSettings(Model):
    """How documents are understood."""

    examples: Literal["text", "questions"] | None = None
    """text: every section, as running text. questions: only what the document asks and answers itself: headings that ask (How
    do I ...? Wie ...?), questions in a section of frequent questions, and paragraphs marked Q: and A:, as prompt and answer;
    all else is left out and counted. Left out: text."""


FORMATS_OF_ROWS = unavailable(
    "format", "tokens", "preference", instead="messages, prompt_completion, instruction, tickets, text or classification"
)
"""Rule of a block with a field `format`."""


class Dataset(Model):
    """One source of examples."""

    name: Label | None = None
    """Short name, used in reports and messages. Left out: data-1, data-2 and so on."""
    uri: DatasetUri
    """Where the data is: a file, a directory or a pattern such as s3://bucket/tickets/*.jsonl.gz.
    JSONL, JSON, CSV and Parquet, plain or compressed with gzip or zstandard; mailboxes (mbox, eml); documents (PDF, Word,
    HTML, Markdown, text)."""
    revision: Text | None = None
    """Branch, tag or commit of an hf:// dataset; main if left out."""
    role: Role | None = None
    """train, validation or test; train if left out. A dataset given as test is never trained on."""
    format: DataFormat | None = None
    """Shape of the rows; auto if left out: decided from the first rows, and the report says why."""
    fields: FieldMapping | None = None
    """Field names, where they differ from those of the format."""
    mail: MailSettings | None = None
    """How mailboxes among the files are understood."""
    documents: DocumentSettings | None = None
    """How documents among the files are understood."""
    weight: Annotated[float, Field(gt=0, le=100)] | None = None
    """Mixing weight: how often each example is seen per epoch; 1 if left out. 2 shows every example twice, 0.5 shows a
    different half of them each epoch. It changes frequency, not the loss; for the loss see preparation.weighting."""
    secret_name: SecretName | None = None
    """Secret with credentials for the URI."""
    license: Text | None = None
    """Licence of the data, or by what right it is used. It is told in report and model card; nothing is checked."""

    constraints: ClassVar[tuple[Rule, ...]] = (FORMATS_OF_ROWS,)


class Output(Model):
    """Where the result goes."""

    uri: OutputUri
    """Target: pvc://claim/path, s3://bucket/path, hf://org/name or file:///path. Readers see all of it or nothing."""
    format: Literal["adapter", "merged"] | None = None
    """adapter: the LoRA adapter alone, for servers that load adapters. merged: a full model directory. Left out: adapter
    for lora, merged for full."""
    secret_name: SecretName | None = None
    """Secret with credentials for the URI."""
    license: Text | None = None
    """Licence under which the result is published, as model hubs write it, such as apache-2.0. It is told in the model card."""
