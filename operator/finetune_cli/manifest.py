"""Reading manifests exactly as kubectl reads them.

YAML readers differ in what they take for a number or a truth value: PyYAML reads `2e-4` as text and `y` as text, kubectl as
a number and as true. A manifest that means one thing on a workstation and another in the cluster would be a trap, so the
rules of kubectl's reader (sigs.k8s.io/yaml) stand here; tests/finetune_cli/test_manifest.py compares with its own answers.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from finetune_api import meta
from finetune_api.errors import InvalidSpec, Problem, UserError
from finetune_api.uris import file_path, file_uri
from finetune_api.v1alpha1.job import FineTuneJob

_TRUE = {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}
_FALSE = {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}
_NULL = {"", "~", "null", "Null", "NULL"}
_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_WRITTEN_OUT = 1e21
"""Below this Go writes a float without an exponent, as JSON does in JavaScript."""
_MOST_VALUES = 1_000_000
"""A few lines of aliases of aliases can stand for billions of values; kubectl refuses such a file too."""
_MOST_BYTES = 16 * 2**20
"""Ten times what an API server stores in one object. Somebody may name a file of data instead, or a device without end."""
_LINE_END = re.compile("\r\n?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_OBJECT_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\Z")
_PLAIN = "!plain"
_SPECIAL = {".nan", ".inf", "+.inf", "-.inf"}


class _KubectlLoader(yaml.SafeLoader):
    """PyYAML's parser with kubectl's meaning of plain words."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        """The tag of a node: a plain word gets one of its own, unless it is the merge key."""
        if kind is yaml.ScalarNode and implicit[0]:
            return "tag:yaml.org,2002:merge" if value == "<<" else _PLAIN
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]  # PyYAML has no hints here

    def scan_to_next_token(self) -> None:
        """Over blanks, comments and line ends; a tab is a blank wherever it does not indent."""
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward()
            super().scan_to_next_token()

    def process_directives(self) -> Any:
        """`%YAML` and `%TAG`; kubectl knows version 1.1 alone."""
        found = super().process_directives()  # type: ignore[no-untyped-call]  # as above
        if self.yaml_version not in (None, (1, 1)):
            raise ConstructorError(None, None, "kubectl reads YAML 1.1 alone; remove the line %YAML", self.get_mark())
        return found


def _plain_word(loader: _KubectlLoader, node: yaml.ScalarNode) -> Any:
    """Anything without quotes and without a tag."""
    word = node.value
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    if word in _NULL:
        return None
    if word.lower() in _SPECIAL:
        raise ConstructorError(None, None, f"{word} is no number that JSON knows", node.start_mark)
    if word[0] not in "+-.0123456789":
        return word
    plain = word.replace("_", "")
    number = _integer(plain)
    if number is not None:
        return number
    if _FLOAT.match(plain):
        value = float(plain)
        if not math.isfinite(value):
            return word
        # On the way to the server 1.0 and 1e3 are written as 1 and 1000, so that whole-number fields take them.
        return int(Decimal(repr(value))) if value.is_integer() and abs(value) < _WRITTEN_OUT else value
    return word


def _integer(word: str) -> int | None:
    """A whole number as Go reads it: 0x, 0b, 0o, and a leading zero for octal."""
    sign = -1 if word.startswith("-") else 1
    digits = word.lstrip("+-") if word[:1] in "+-" else word
    if len(word) - len(digits) > 1 or not digits:
        return None
    try:
        if digits[:2].lower() in ("0x", "0b", "0o"):
            return sign * int(digits, 0)
        if len(digits) > 1 and digits[0] == "0":
            return sign * int(digits, 8)
        number = sign * int(digits) if digits.isascii() and digits.isdigit() else None
    except ValueError:
        return None
    return number if number is not None and -(2**63) <= number < 2**64 else None


def _mapping(loader: _KubectlLoader, node: yaml.MappingNode) -> dict[str, Any]:
    """A mapping with text keys, each only once: kubectl refuses the second, most readers take the last."""
    loader.flatten_mapping(node)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key: Hashable = loader.construct_object(key_node, deep=True)
        if key is None or isinstance(key, dict | list):
            raise ConstructorError(None, None, "a key must be text", key_node.start_mark)
        name = str(key).lower() if isinstance(key, bool) else str(key)
        if name in result:
            raise ConstructorError(None, None, f'the key "{name}" stands twice in one mapping', key_node.start_mark)
        result[name] = loader.construct_object(value_node, deep=True)
    return result


def _sequence(loader: _KubectlLoader, node: yaml.SequenceNode) -> list[Any]:
    return [loader.construct_object(item, deep=True) for item in node.value]


def _text(loader: _KubectlLoader, node: yaml.ScalarNode) -> str:
    if _SURROGATE.search(node.value):
        raise ConstructorError(None, None, "an escape such as \\ud83d is half a character", node.start_mark)
    return str(node.value)


def _tagged(*kinds: type) -> Callable[[_KubectlLoader, yaml.ScalarNode], Any]:
    """A word with an explicit tag, such as `!!int 5`: it must mean by itself what the tag says."""

    def construct(loader: _KubectlLoader, node: yaml.ScalarNode) -> Any:
        value = _plain_word(loader, node)
        if type(value) not in kinds:
            raise ConstructorError(None, None, f"{node.value} is not what its tag says", node.start_mark)
        return value

    return construct


# These and no others: PyYAML's dates, sets and bytes are nothing that JSON could hold.
_KubectlLoader.yaml_constructors = {
    _PLAIN: _plain_word,
    "tag:yaml.org,2002:map": _mapping,
    "tag:yaml.org,2002:seq": _sequence,
    "tag:yaml.org,2002:str": _text,
    "tag:yaml.org,2002:int": _tagged(int),
    "tag:yaml.org,2002:float": _tagged(int, float),
    "tag:yaml.org,2002:bool": _tagged(bool),
    "tag:yaml.org,2002:null": _tagged(type(None)),
    None: yaml.SafeLoader.construct_undefined,
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """One FineTuneJob as written, with the small data that stands in the same file."""

    source: str
    """File name for messages."""
    folder: Path
    """Where relative file:// paths begin."""
    raw: dict[str, Any]
    config_maps: dict[str, dict[str, str]] = field(default_factory=dict)
    """ConfigMaps of the same file by name, for configMap:// on one machine."""


def read_yaml(text: str) -> list[Any]:
    """All documents of a YAML text as plain JSON types, with kubectl's meaning of words.

    Raises: yaml.YAMLError with the place, if there is one; RecursionError for what is nested hundreds of times.
    """
    documents = [document for document in yaml.load_all(text, Loader=_KubectlLoader) if document is not None]
    if _written_out(documents, {}) > _MOST_VALUES:
        raise yaml.YAMLError(f"its aliases stand for more than {_MOST_VALUES:,} values")
    return documents


def _written_out(value: Any, known: dict[int, int]) -> int:
    """How many values there are when every alias is written out, as JSON must."""
    if id(value) not in known:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        known[id(value)] = 1 + sum(_written_out(one, known) for one in inner)
    return known[id(value)]


def read_manifest(path: str) -> Manifest:
    """Read the one FineTuneJob of a file; `-` reads standard input.

    Raises: UserError if the file cannot be read, is no YAML, or holds no or several FineTuneJobs.
    """
    name = "standard input" if path == "-" else path
    text = _read(path, name)
    try:
        documents = read_yaml(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{name}{place}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{name}: {error}") from None
    except RecursionError:
        raise UserError(f"{name} is nested too deeply") from None
    jobs = [d for d in documents if isinstance(d, dict) and d.get("kind") == meta.KIND]
    if not jobs and len(documents) == 1:
        jobs = documents  # let the validator say what is missing
    if len(jobs) != 1:
        raise UserError(f"{name} holds {len(jobs)} FineTuneJobs; one is needed")
    folder = Path.cwd() if path == "-" else Path(path).resolve().parent
    return Manifest(name, folder, jobs[0], _config_maps(documents, name))


def _read(path: str, name: str) -> str:
    """The text of a file or of standard input: UTF-8 whatever the locale, as for kubectl."""
    try:
        if path == "-":
            content = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{name}: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise UserError(f"{name} is larger than {_MOST_BYTES >> 20} MiB, which no manifest is")
    try:
        return _LINE_END.sub("\n", content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{name} is not UTF-8 (line {line})", hint="Save it as UTF-8.") from None


def _config_maps(documents: list[Any], source: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for document in documents:
        if not isinstance(document, dict) or document.get("kind") != "ConfigMap":
            continue
        metadata, data = document.get("metadata"), document.get("data") or {}
        name = metadata.get("name") if isinstance(metadata, dict) else None
        texts = isinstance(data, dict) and all(isinstance(value, str) for value in data.values())
        if not isinstance(name, str) or not _OBJECT_NAME.match(name) or not texts:
            raise UserError(f"{source}: a ConfigMap needs metadata.name, the name of a Kubernetes object, and data of texts")
        found[name] = data
    return found


def localized(job: FineTuneJob, manifest: Manifest) -> FineTuneJob:
    """The job with its relative file:// paths made absolute: they are meant from the manifest's directory.

    Raises: InvalidSpec for what only a cluster can do.
    """
    if job.spec.image is not None and job.spec.command is None:
        raise InvalidSpec([Problem("spec.image", "runs in a cluster only; leave it out for a local run")])

    def absolute(uri: str) -> str:
        path = file_path(uri)
        return uri if path is None or path.startswith("/") else file_uri((manifest.folder / path).resolve())

    spec = job.spec
    suites = tuple(suite.model_copy(update={"uri": absolute(suite.uri)}) for suite in spec.evaluation.suites)
    anonymize = spec.preparation.anonymize
    detectors = tuple(detector.model_copy(update={"uri": absolute(detector.uri)}) for detector in anonymize.detectors)
    anonymize = anonymize.model_copy(update={"detectors": detectors})
    preparation = spec.preparation.model_copy(update={"anonymize": anonymize})
    if (reference := preparation.weighting.reference) is not None:
        there = reference.model_copy(update={"uri": absolute(reference.uri)})
        preparation = preparation.model_copy(update={"weighting": preparation.weighting.referring_to(there)})
    update = {
        "model": spec.model.model_copy(update={"uri": absolute(spec.model.uri)}),
        "datasets": tuple(dataset.model_copy(update={"uri": absolute(dataset.uri)}) for dataset in spec.datasets),
        "preparation": preparation,
        "evaluation": spec.evaluation.model_copy(update={"suites": suites}),
        "output": spec.output.model_copy(update={"uri": absolute(spec.output.uri)}),
    }
    return job.model_copy(update={"spec": spec.model_copy(update=update)})
