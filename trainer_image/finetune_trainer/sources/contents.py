"""Which files are a model, which are a dataset: decided from names alone, before anything is downloaded.

A model repository often holds the same weights three times and a pickle, which runs code when it is opened. What training
needs is a short list, and the same for a directory, a bucket and a hub; so it stands here once, and nothing else is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune_trainer.sources.location import Location

DATA_ENDINGS = (
    *(kind + packed for kind in (".jsonl", ".json", ".csv", ".tsv") for packed in ("", ".gz", ".zst")),
    ".parquet",
)
"""Endings by which a directory's data files are told from what lies beside them."""

DOCUMENT_ENDINGS = (".mbox", ".eml", ".md", ".markdown", ".txt", ".html", ".htm", ".pdf", ".docx")
"""Endings of mailboxes and documents, which are data only where no table is: beside tables they describe them."""

_ABOUT_DATA = {"dataset_infos.json", "dataset_info.json"}
_MODEL_ENDINGS = (".json", ".model", ".txt", ".jinja", ".tiktoken")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_LISTED = 10

_MODEL_DIRECTORY = (
    "A model directory holds config.json, the weights as .safetensors and the tokenizer's files; or it is one .gguf file."
)


def printable(name: str) -> str:
    """A name as messages may show it: a file may be called anything, so what is no visible character becomes an escape."""
    if name.isprintable():
        return name
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)


def is_visible(name: str) -> bool:
    """Whether no part of a relative path begins with a dot."""
    return not any(part.startswith(".") for part in name.split("/"))


def data_files(names: Iterable[str]) -> list[str]:
    """Those of `names` that hold examples, by their endings, sorted. Hidden files and READMEs never do.

    Mailboxes and documents are taken where there is no table.
    """
    visible = sorted(filter(is_visible, names))
    tables = [name for name in visible if _is_data(name, DATA_ENDINGS)]
    return tables or [name for name in visible if _is_data(name, DOCUMENT_ENDINGS)]


def _is_data(name: str, endings: tuple[str, ...]) -> bool:
    base = name.rpartition("/")[2].lower()
    return base.endswith(endings) and not base.startswith(("readme.", "license")) and base not in _ABOUT_DATA


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What to take from a directory.

    Args:
        names: relative paths, sorted.
        gguf: the one of them that is the model, if it is a GGUF file; then there is no other.
    """

    names: tuple[str, ...]
    gguf: str | None = None


def model_files(names: Sequence[str], location: Location, *, trust_remote_code: bool) -> ModelFiles:
    """Choose what a model needs from the files of its directory.

    Taken: safetensors weights, configuration, tokenizer, chat templates, model card and licence, and Python files if they
    may run. Left: pickles, other frameworks' weights, and `consolidated` weights, which repeat the others.

    Args:
        names: all files of the directory, as relative paths.
        location: where it is, for messages.
        trust_remote_code: whether Python files may run.
    Raises: UserError if this is no model, and why.
    """
    visible = sorted(filter(is_visible, names))
    ggufs = [name for name in visible if name.lower().endswith(".gguf")]
    has_config = "config.json" in visible
    weights = [name for name in visible if "/" not in name and name.endswith(".safetensors")]
    weights = [name for name in weights if not name.startswith("consolidated")] or weights
    if has_config and weights:
        others = [name for name in visible if _goes_with_weights(name, trust_remote_code)]
        return ModelFiles(tuple(sorted([*weights, *others])))
    if len(ggufs) == 1:
        return ModelFiles((ggufs[0],), gguf=ggufs[0])
    if ggufs:
        raise location.problem(
            f"holds {len(ggufs)} GGUF files: {listed(ggufs)}", hint=f"Name one of them, as in {location.shown}/{ggufs[0]}."
        )
    raise _no_model(visible, location, has_config)


def _goes_with_weights(name: str, trust_remote_code: bool) -> bool:
    if name.endswith(".py"):
        return trust_remote_code
    if "/" in name:
        return name.startswith("additional_chat_templates/") and name.endswith(".jinja")
    if name == "README.md" or name.startswith("LICENSE"):
        return True
    return name.endswith(_MODEL_ENDINGS) and not name.endswith(".bin.index.json")


def _no_model(names: Sequence[str], location: Location, has_config: bool) -> Exception:
    pickles = [name for name in names if name.endswith(_PICKLES) and name != "training_args.bin"]
    if has_config and pickles:
        return location.problem(
            f"has its weights only as pickles ({listed(pickles)}), which can run code when they are opened",
            hint="Convert them to safetensors: load the model with transformers where you trust it and call "
            "save_pretrained(), or choose a revision that has safetensors.",
        )
    if not has_config and "adapter_config.json" in names:
        return location.problem(
            "is an adapter, not a model: it has adapter_config.json and no config.json",
            hint="Name the base model; or merge the adapter into it and name the merged model.",
        )
    if not has_config:
        return location.problem("has no config.json, so it is no model directory", hint=_MODEL_DIRECTORY)
    return location.problem("has a config.json but no weights (*.safetensors)", hint=_MODEL_DIRECTORY)


def check_shards(directory: Path, location: Location) -> None:
    """Make sure that every file which the weights' index names is there: a half-copied model trains on noise or not at all.

    Raises: UserError that names what is missing.
    """
    index = directory / "model.safetensors.index.json"
    if not index.exists():
        return
    try:
        shards = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise location.problem(f"has a broken {index.name}: no JSON object with weight_map") from None
    missing = [name for name in shards if not (directory / name).exists()]
    if missing:
        raise location.problem(f"lacks {len(missing)} of {len(shards)} files that its index names: {listed(missing)}")


def listed(names: Sequence[str]) -> str:
    """Names for a message: at most ten, then how many more."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(printable, names[:_LISTED])) + more
