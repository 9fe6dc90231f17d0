"""RBAC as the API server judges it: what the chart grants, what a request needs, and which grant lets it through."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

TEMPLATES = Path(__file__).parents[1] / "helm" / "finetune-operator" / "templates"
RELEASE = "finetune-operator"
SYSTEM = "system"
"""The operator's own namespace."""
_DISCOVERY = {"api", "apis", "version"}
"""Every account may ask what there is (system:discovery)."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One verb on one resource."""

    where: str
    """A namespace; empty: everywhere."""
    group: str
    resource: str
    verb: str
    name: str = ""
    """Of the only object it speaks of; empty: all."""

    def allows(self, need: Grant) -> bool:
        """Whether it lets a request through that needs this."""
        same = (self.group, self.resource, self.verb) == (need.group, need.resource, need.verb)
        # A request that creates an object or reads several names none, so a grant for one name does not cover it.
        named = self.name in ("", need.name) and not (self.name and need.verb in ("create", "list", "watch"))
        return same and named and self.where in ("", need.where)


def needed(method: str, url: str) -> Grant | None:
    """What a request needs; None if everybody may ask it."""
    parts, query = urlsplit(url).path.strip("/").split("/"), parse_qs(urlsplit(url).query)
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1] if len(parts) > 1 else "", parts[3:])
    if not rest and parts[0] in _DISCOVERY and method == "GET":
        return None
    where, rest = (rest[1], rest[2:]) if rest[0] == "namespaces" and len(rest) > 2 else ("", rest)
    name = rest[1] if len(rest) > 1 else ""
    many = "watch" if query.get("watch") == ["true"] else "list"
    verb = {"GET": "get" if name else many, "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[method]
    return Grant(where, group, "/".join((rest[0], *rest[2:])), verb, name)


def granted(*, namespaces: tuple[str, ...] = (), name: str = RELEASE, system: str = SYSTEM) -> set[Grant]:
    """What the chart's templates grant the operator, where it serves these namespaces alone or, with none, all.

    Args:
        name, system: what the release's objects are called, and their namespace.
    """

    def rules_of(text: str) -> list[dict[str, Any]]:
        return _filled_in(text, name)

    for_jobs = rules_of(_between("_helpers.tpl", 'define "finetune.jobRules" -}}\n', "\n{{- end }}"))
    reviews = rules_of(_between("rbac.yaml", "kind: ClusterRole\n.*?rules:\n", "\n{{- if"))
    own = rules_of(_between("rbac.yaml", r"kind: Role\n.*?namespace: {{ .Release.Namespace }}\n.*?rules:\n", "\n---"))
    found = {grant for rule in reviews for grant in _grants(rule, "")}
    found |= {grant for rule in own for grant in _grants(rule, system)}
    return found | {grant for where in namespaces or ("",) for rule in for_jobs for grant in _grants(rule, where)}


def _between(template: str, begin: str, end: str) -> str:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    found = re.search(f"{begin}(.*?){re.escape(end)}", text, re.DOTALL)
    assert found, f"{template} has changed its form"
    return found[1]


def _filled_in(text: str, name: str) -> list[dict[str, Any]]:
    """Rules of a template in which nothing but the release's name is filled in."""
    plain = re.sub(r'{{ (\$name|include "finetune.name" \.) }}', name, text)
    assert "{{" not in plain
    rules: list[dict[str, Any]] = yaml.safe_load(plain)
    return rules


def _grants(rule: dict[str, Any], where: str) -> Iterator[Grant]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames", [""]):
                    yield Grant(where, group, resource, verb, name)
