"""The report page taken apart, and runs of every shape that it must take."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from data_runs import a_full_report
from report_runs import a_classification, a_run, a_sample, a_set, an_evaluation, data, training

HOSTILE = (
    "<script>alert(1)</script></textarea></style></title>--><img src=http://evil.example/x onerror=alert(2)>"
    "\"' onmouseover='alert(3)' style=background:url(http://evil.example) {{ 7*7 }} \x00\x1b[31m \u202eevil \ud800"
)

_SAMPLE = ("dataset", "file", "before", "after")


class Page(HTMLParser):
    """A page taken apart: elements with their attributes, and the text that a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.parts: list[str] = []
        self.open: list[str] = []
        self.style = ""
        self.feed(html)
        self.close()
        self.text = re.sub(r"\s+", " ", " ".join(self.parts).replace("\u202f", " "))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in {"meta", "link", "br", "img", "path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag == "path":  # with a title inside
            return
        assert self.open, f"</{tag}> closes nothing"
        opened = self.open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.parts.append(data)

    def row(self, name: str) -> str:
        """What stands beside a metric, a gate or a reason: the text from its name on."""
        assert name in self.text, name
        return self.text[self.text.index(name) :][:400]


def pages() -> dict[str, dict[str, Any]]:
    """Runs of every shape that a page must take."""
    without_base = an_evaluation(verdict=None, samples=[a_sample("Q", "A", None, "B")])
    for one in (without_base["summary"], without_base["sets"][0]):
        one |= {"base": {}, "delta": {}}
    hostile_sets = [
        a_set({"loss": (2.0, 2.0, -0.1, 0.1), HOSTILE: (1.0, 2.0, 0.5, 1.5)}),
        a_set({"loss": (1, 2, 3, 4)}, name=HOSTILE),
    ]
    hostile_data = data() | {
        "anonymization": HOSTILE,
        "warnings": [HOSTILE],
        "cleaned": {HOSTILE: 1},
        "labels": {HOSTILE: {"train": 1}},
    }
    hostile_data["datasets"] = [
        {"name": HOSTILE, "uri": HOSTILE, "revision": HOSTILE, "files": 1, "rows": 1, "format": HOSTILE, "because": HOSTILE}
        | {"dropped": {HOSTILE: 1}, "contents": [{"name": HOSTILE, "bytes": 1, "sha256": HOSTILE}]}
    ]
    hostile_data["shape_of_an_example"] = [{"token": HOSTILE, "id": 1, "supervised": True}]
    hostile_data["rules"] = [{"name": HOSTILE, "changed": 1, "dropped": 2, "samples": [dict.fromkeys(_SAMPLE, HOSTILE)]}]
    hostile_data["languages"] = {HOSTILE: 3}
    hostile_data["heaviest"] = hostile_data["lightest"] = [{"dataset": HOSTILE, "file": HOSTILE, "line": 1, "weight": 1.0}]
    hostile_data["personal"] = {
        "strategy": HOSTILE,
        "detectors": [HOSTILE],
        "residual": {"rate": 0.5, "items": 1, "examples": 2, "kinds": {HOSTILE: 1}},
        "quality": [{"kind": HOSTILE, "language": HOSTILE, "recall": 0.5, "precision": 0.5, "items": 2}],
        "qualitySource": HOSTILE,
    }
    hostile_data["template"] = {"digest": HOSTILE}
    return {
        "chat": a_run(),
        "nothing": {},
        "no reports": a_run(evaluation={}, data={}, training={"journal": [], "validations": []}, plan=[]),
        "no data report": a_run(data={}),
        "no training report": a_run(training={"journal": [], "validations": []}),
        "no base": a_run(evaluation=without_base),
        "no validation": a_run(training=training(steps=30)),
        "no samples": a_run(evaluation=an_evaluation(samples=[])),
        "one step": a_run(training=training(steps=1, validate_every=1)),
        "summary alone": a_run(evaluation=an_evaluation() | {"sets": []}),
        "classes": a_classification([[8, 2], [1, 9]], ["refund", "invoice"]),
        "full data": a_run(data=a_full_report()),
        "hostile": a_run(
            job={"name": HOSTILE, "namespace": HOSTILE, "task": HOSTILE},
            provenance={
                "base": {"uri": HOSTILE, "revision": HOSTILE, "digest": HOSTILE, "license": HOSTILE},
                "datasets": [{"name": HOSTILE, "uri": HOSTILE, "revision": HOSTILE, "digest": HOSTILE, "license": HOSTILE}],
                "seeds": {HOSTILE: HOSTILE},
                "software": {HOSTILE: HOSTILE},
                "manifest": {HOSTILE: [HOSTILE]},
            },
            model={"uri": "hf://" + HOSTILE, "revision": HOSTILE},
            created=HOSTILE,
            evaluation=an_evaluation(
                sets=hostile_sets,
                gates=[{"metric": HOSTILE, "suite": HOSTILE, "passed": False, "reason": HOSTILE}],
                samples=[a_sample(HOSTILE, HOSTILE, HOSTILE, HOSTILE * 50)],
            )
            | {"precision": HOSTILE, "interval": HOSTILE},
            data=hostile_data,
            plan=[{"field": HOSTILE, "value": HOSTILE, "reason": HOSTILE}],
        ),
        "hostile classes": a_classification([[8, 2], [1, 9]], [HOSTILE, "invoice"]),
    }


SHAPES = pages()
