"""What a platform team watches: alerts and dashboard speak of what an operator really says, and Prometheus understands them."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from charts import CHART, NAMESPACE, ROOT, installed, one, program, run_helm
from operating import FTJS, JOBS, retried, scraped_when, submit, the, until, until_calm, with_an_operator
from ports import a_free_port
from servers.api import ApiServer

ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((CHART / "alerts" / "finetune-operator.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD = (CHART / "dashboards" / "finetune-operator.json").read_text(encoding="utf-8")
PANELS: list[dict[str, Any]] = json.loads(DASHBOARD)["panels"]
EXPRESSIONS = [rule["expr"] for rule in ALERTS] + [target["expr"] for panel in PANELS for target in panel["targets"]]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ADDED = {"namespace", "le"}
"""Labels that Prometheus adds to a target's samples, and that of a histogram's buckets."""


@dataclass(frozen=True)
class Scrape:
    """What one replica said: text as it was, and each sample's labels."""

    text: str

    @property
    def series(self) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        families = text_string_to_metric_families(self.text)
        return {(s.name, tuple(sorted(s.labels.items()))) for family in families for s in family.samples}

    def values(self, name: str) -> dict[str, set[str]]:
        """Label to its values, of one sample name."""
        found: dict[str, set[str]] = {}
        for sample, labels in self.series:
            for label, value in labels if sample == name else ():
                found.setdefault(label, set()).add(value)
        return found


@dataclass(frozen=True)
class Said:
    """With one job and with many."""

    first: Scrape
    then: Scrape


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    scrapes: list[Scrape] = []
    with scraped_operator(tmp_path_factory.mktemp("operator"), scrapes.append):
        pass
    return Said(*scrapes)


@contextmanager
def scraped_operator(folder: Path, take: Any) -> Iterator[None]:
    port = a_free_port()

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        for number in range(10):
            submit(api, f"job-{number}")
            await until(lambda n=number: the(api, JOBS, f"job-{n}-prepare-1"), running)  # type: ignore[misc]
            if number in (0, 9):
                await until_calm(api)
                take(Scrape(await scraped_when(port, f'finetune_operator_jobs{{phase="Preparing"}} {number + 1}.0')))

    with_an_operator(folder, story, FINETUNE_PROBE_PORT=str(port))
    yield


@pytest.fixture(scope="module")
def said_of_each(tmp_path_factory: pytest.TempPathFactory) -> list[Scrape]:
    """With places for two jobs: three train; one has ended and one is gone."""
    port, scrapes = a_free_port(), list[Scrape]()

    async def scrape_with_loss_of(*names: str) -> Scrape:
        lines = (f'finetune_operator_job_loss{{job_name="{name}",job_namespace="ml"}}' for name in names)
        return Scrape(await scraped_when(port, *lines))

    def training(api: ApiServer, name: str) -> None:
        progress = {"percent": 25, "loss": 1.5, "etaSeconds": 840, "updatedAt": "2026-11-30T12:00:00Z"}
        found = the(api, FTJS, name)
        assert found is not None
        api.put(FTJS, {**found, "status": {**found["status"], "progress": progress}})

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        for name in ("a", "b", "c"):
            submit(api, name)
            await until(lambda n=name: the(api, JOBS, f"{n}-prepare-1"), running)  # type: ignore[misc]
            await until_calm(api)
            training(api, name)
            await until_calm(api)
        scrapes.append(await scrape_with_loss_of("a", "b"))
        api.drop(FTJS, "a")
        over = {"observedGeneration": 1, "phase": "Succeeded", "completionTime": "2026-11-30T12:00:00Z"}
        api.put(FTJS, {**(the(api, FTJS, "b") or {}), "status": over})
        training(api, "c")
        await until_calm(api)
        scrapes.append(await scrape_with_loss_of("c"))

    with_an_operator(tmp_path_factory.mktemp("operator"), story, FINETUNE_PROBE_PORT=str(port), FINETUNE_METRICS_JOBS="2")
    return scrapes


# ---------------------------------------------------------------- what is said


def test_every_family_has_a_help_text_a_unit_and_a_line_in_the_docs(said: Said) -> None:
    for family in text_string_to_metric_families(said.first.text):
        assert family.documentation.endswith("."), family.name
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}`" in OPERATIONS or f"`{name}{{" in OPERATIONS, name
        assert family.type != "histogram" or name.endswith("_seconds"), name


def test_more_jobs_are_no_more_series(said: Said) -> None:
    few, many = said.first.series, said.then.series
    # Another way for a call to end may have been met meanwhile.
    assert {series for series in many - few if series[0] != "finetune_operator_api_calls_total"} == set()
    labels = {label for _, found in many for label, _ in found}
    assert labels == {"stage", "reason", "class", "phase", "verb", "resource", "code", "result", "kind", "le"}


def test_single_jobs_are_told_of_only_where_that_is_asked_for_and_only_so_many(said_of_each: list[Scrape]) -> None:
    first, then = said_of_each
    assert 'finetune_operator_job_progress_ratio{job_name="a",job_namespace="ml"} 0.25' in first.text
    assert 'finetune_operator_job_loss{job_name="b",job_namespace="ml"} 1.5' in first.text
    assert 'finetune_operator_job_eta_seconds{job_name="b",job_namespace="ml"} 840.0' in first.text
    assert 'finetune_operator_job_restarts{job_name="a",job_namespace="ml"} 0.0' in first.text
    assert first.values("finetune_operator_job_loss")["job_name"] == {"a", "b"}
    assert "finetune_operator_jobs_without_series 1.0" in first.text
    assert then.values("finetune_operator_job_loss")["job_name"] == {"c"}, "who is over or gone makes room"
    assert "finetune_operator_jobs_without_series 0.0" in then.text
    for family in text_string_to_metric_families(then.text):
        assert f"`{family.name}" in OPERATIONS, family.name


def test_the_jobs_are_counted_by_phase(said: Said) -> None:
    assert 'finetune_operator_jobs{phase="Preparing"} 1.0' in said.first.text
    assert 'finetune_operator_jobs{phase="Preparing"} 10.0' in said.then.text
    assert 'finetune_operator_jobs{phase="Failed"} 0.0' in said.then.text
    assert "finetune_operator_leader 1.0" in said.first.text


# ---------------------------------------------------------------- what is asked


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_alerts_and_panels_ask_for_what_is_said(said: Said, said_of_each: list[Scrape], expression: str) -> None:
    scrape = said_of_each[0] if "finetune_operator_job_" in expression else said.then
    asked = re.findall(r"(finetune_operator_\w+)(?:\{([^}]*)\})?", expression)
    assert asked
    for name, matchers in asked:
        assert name in {series for series, _ in scrape.series}, name
        known = scrape.values(name)
        assert 'namespace="' in matchers, "of several operators in a cluster each is watched for itself"
        for label, how, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers):
            assert label in known or label in ADDED, (name, label)
            if label not in ADDED and label != "code":
                assert set(value.split("|")) <= known[label], (name, label, how, value)
    by = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
    assert by <= ADDED | {label for name, _ in asked for label in scrape.values(name)}


def test_every_alert_says_what_it_means_and_stands_in_the_docs() -> None:
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["alert"] in OPERATIONS, rule["alert"]


def test_panels_lie_side_by_side_and_not_over_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_prometheus_understands_all_of_it_and_nothing_is_wrong_with_a_calm_operator(tmp_path: Path) -> None:
    binary, port = program("prometheus"), a_free_port()
    rules = (CHART / "alerts" / "finetune-operator.yaml").read_text(encoding="utf-8").replace("NAMESPACE", NAMESPACE)
    (tmp_path / "rules.yaml").write_text(rules)
    targets = a_free_port()
    static = {"targets": [f"127.0.0.1:{targets}"], "labels": {"namespace": NAMESPACE}}
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "operator", "static_configs": [static]}],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    arguments = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    arguments += [f"--web.listen-address=127.0.0.1:{port}"]

    def ask(path: str, **query: str) -> Any:
        url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.loads(answer.read())["data"]

    def look() -> None:
        retried(lambda: ask("query", query="finetune_operator_leader")["result"])
        for expression in EXPRESSIONS:
            plain = expression.replace("NAMESPACE", NAMESPACE).replace("$namespace", NAMESPACE)
            ask("query", query=plain)  # what is no PromQL is answered with 400
        calm = {rule["alert"]: ("ok", "inactive") for rule in ALERTS}
        retried(lambda: states() == calm)  # at the first evaluation nothing was scraped yet
        assert states() == calm

    def states() -> dict[str, tuple[str, str]]:
        rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
        return {rule["name"]: (rule["health"], rule["state"]) for rule in rules}

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        await until(lambda: the(api, JOBS, "support-prepare-1"), running)
        with (tmp_path / "log").open("wb") as log:
            process = await asyncio.to_thread(subprocess.Popen, [binary, *arguments], stdout=log, stderr=log)
            try:
                await asyncio.to_thread(look)
            finally:
                process.terminate()
                process.wait(120)

    with_an_operator(tmp_path, story, FINETUNE_PROBE_PORT=str(targets))


# ---------------------------------------------------------------- the chart


def test_nothing_of_it_is_installed_unless_it_is_wished_for() -> None:
    kinds = {o["kind"] for o in installed()}
    assert not kinds & {"ServiceMonitor", "PrometheusRule"}
    assert not [o for o in installed() if o["kind"] == "ConfigMap"]


def test_alerts_watch_the_namespace_of_the_release() -> None:
    rule = one("PrometheusRule", metrics={"prometheusRule": {"enabled": True, "labels": {"release": "monitoring"}}})
    assert rule["metadata"]["labels"]["release"] == "monitoring"
    (group,) = rule["spec"]["groups"]
    assert [found["alert"] for found in group["rules"]] == [found["alert"] for found in ALERTS]
    for found in group["rules"]:
        assert f'namespace="{NAMESPACE}"' in found["expr"]
        assert "NAMESPACE" not in json.dumps(found)


def test_the_dashboard_is_found_by_grafana_and_arrives_whole() -> None:
    found = one("ConfigMap", metrics={"dashboard": {"enabled": True, "namespace": "monitoring"}})
    assert found["metadata"]["namespace"] == "monitoring"
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(found["data"]["finetune-operator.json"])["panels"] == PANELS


@pytest.mark.parametrize("values", [{"prometheusRule": {"on": True}}, {"dashboard": {"labels": {"a": 1}}}])
def test_a_wrong_value_is_refused(values: dict[str, Any]) -> None:
    assert run_helm("template", "x", str(CHART), values={"metrics": values}).returncode != 0
