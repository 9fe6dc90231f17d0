"""A data report with everything that one can hold, in small numbers that can be checked by hand."""

from __future__ import annotations

from typing import Any

from report_runs import data


def a_full_report(**parts: Any) -> dict[str, Any]:
    """1,000 rows of two datasets, 800 kept; personal data replaced; weights, languages, rules with samples."""
    report = data()
    report["summary"]["examples"] = {"read": 1000, "kept": 800, "droppedByReason": {}}
    report["summary"]["redactions"] = {"PERSON": 412, "EMAIL": 120, "IBAN": 33}
    report["anonymization"] = "surrogate: names, addresses and numbers were looked for in German and English"
    report["personal"] = {
        "strategy": "surrogate",
        "detectors": ["patterns with check digits", "cues and lists of names"],
        "examplesChanged": 390,
        "residual": {"rate": 0.0, "items": 0, "examples": 800, "kinds": {}, "allowed": 0.0},
        "quality": [
            {"kind": "IBAN", "language": "de", "recall": 1.0, "precision": 0.998, "items": 210},
            {"kind": "PERSON", "language": "en", "recall": 0.964, "precision": 0.971, "items": 640},
        ],
        "qualitySource": "Measured on 600 labelled documents",
    }
    one = report["datasets"][0] | {"rows": 700, "dropped": {"too_long": 60, "duplicate": 40}}
    other = one | {"name": "mails", "uri": "s3://corp/mails/", "files": 12, "rows": 300}
    other["dropped"] = {"near_duplicate": 70, "another language than declared": 25, "stands_in_held_out_data": 5}
    report["datasets"] = [one | {"kept": 600}, other | {"kept": 200}]
    report["rules"] = [
        {
            "name": "html",
            "changed": 310,
            "dropped": 0,
            "samples": [
                {"dataset": "mails", "file": "a.mbox", "line": 7, "before": "<p>Xxxxx xxx</p>", "after": "Xxxxx xxx"},
                {"dataset": "mails", "file": "a.mbox", "line": 9, "before": "<br>xx 99", "after": "xx 99"},
            ],
        },
        {
            "name": "another language than declared",
            "changed": 0,
            "dropped": 25,
            "samples": [{"dataset": "mails", "file": "b.mbox", "line": 3, "before": "Xxxxxxx xx xxxx", "after": None}],
        },
    ]
    report["languages"] = {"de": 640, "en": 150, "unknown": 10}
    report["splits"]["train"] |= {
        "examples": 640,
        "weights": {"p0": 0.5, "p100": 4.0, "effectiveSampleSize": 512.0},
        "weightHistogram": {"counts": [120, 400, 0, 80, 40], "edges": [0.5, 1.2, 1.9, 2.6, 3.3, 4.0]},
    }
    report["splits"]["validation"]["examples"] = report["splits"]["test"]["examples"] = 80
    report["summary"]["weights"] = {"effectiveSampleSize": 512.0, "lowest": 0.5, "highest": 4.0}
    report["compared"] = "Copies and near-duplicates were looked for, from 75% of shared pairs of words on."
    report["contamination"] = [
        {"dataset": "mails", "exam": "exam-2026", "reason": "stands_in_held_out_data", "examples": 4},
        {"dataset": "mails", "exam": "general", "reason": "stands_in_held_out_data", "examples": 1},
    ]
    report["heaviest"] = [
        {"dataset": "tickets", "file": "t.jsonl", "line": 12, "weight": 4.0, "length": 97, "text": "Dear [PERSON], → Yes."}
    ]
    report["lightest"] = [{"dataset": "mails", "file": "a.mbox", "line": 80, "weight": 0.5, "length": 31, "text": "Xxxx → Xx."}]
    report["weighting"] = {
        "components": {
            "rules": {"mean": 1.25, "lowest": 1.0, "highest": 2.0},
            "relevance": {"mean": 1.1, "lowest": 0.52, "highest": 2.0},
        },
        "rules": [{"condition": "priority is one of urgent, high", "weight": 2.0, "rows": 250}],
        "comparedWith": "40 reference rows",
        "bounds": {"min": 0.5, "max": 4.0},
        "clipped": 3,
    }
    return report | parts
