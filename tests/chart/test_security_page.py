"""docs/security.md is for people who do not read code: what it says of rights is the chart's, what it cites is there."""

from __future__ import annotations

import re

from charts import NAMESPACE, RELEASE, ROOT, one

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def said() -> set[tuple[str, str]]:
    """Resource, or the group of an Event of ours, and verb, as the table of the operator's rules has them."""
    table = PAGE.partition("| rule | what for |")[2].partition("\n\n")[0]
    found: set[tuple[str, str]] = set()
    for row in table.splitlines()[2:]:
        for rule in row.split("|")[1].split(";"):
            resources, _, verbs = rule.partition(":")
            names = re.sub(r" of one name \(.*\)", "", resources)
            found |= {(name.strip(), verb.strip()) for name in names.split(",") for verb in verbs.split(",")}
    return found


def test_the_rules_that_it_explains_are_those_of_the_chart() -> None:
    granted = {
        (group if group == "events.k8s.io" else resource, verb)
        for rule in one("ClusterRole", f"{RELEASE}-{NAMESPACE}")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert said() == granted - {("tokenreviews", "create")}


def test_every_file_that_it_cites_is_there() -> None:
    cited = set(re.findall(r"`([\w/]+\.(?:py|yaml|txt))`", PAGE))
    assert len(cited) > 20
    files = [path.as_posix() for top in ("operator", "trainer_image", "helm", "tests") for path in (ROOT / top).rglob("*.*")]
    files += [path.as_posix() for path in ROOT.glob("*.txt")]
    assert not [name for name in cited if not any(path.endswith(f"/{name}") for path in files)]
