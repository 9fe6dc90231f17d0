"""Whole preparations of texts that need correction: what is left, and what the report shows of it without showing it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_api.contract.trainer_config import WITHOUT_MODEL
from finetune_operator.brain.stages import Stage
from rows import write_jsonl

SECRETS = ("Zorblax", "Quinby", "4711", "quinby@firma.de", "0171 2345678", "DE89370400440532013000", "Kirschkuchen")
PERSON = "Zorblax Quinby, 4711, quinby@firma.de, Tel. 0171 2345678, DE89370400440532013000, mag Kirschkuchen"
GOOD = {"prompt": "Wie geht das?", "completion": "Bitte starten Sie das Gerät neu und melden Sie sich noch einmal an."}
FRENCH = (
    "Veuillez redémarrer l'appareil et vous connecter à nouveau ensuite. Si le problème persiste, ouvrez les paramètres du"
    " compte et supprimez l'ancienne adresse. Nous restons à votre disposition pour toute question et vous remercions de votre"
    " patience. Il est parfois nécessaire d'attendre quelques minutes avant que la modification soit visible partout."
)
CIRCLE = f"{PERSON}. " * 8
BAD: dict[str, list[dict[str, Any]]] = {
    "encoding": [{"prompt": "a", "completion": f"Das ist fÃ¼r {PERSON} {n}."} for n in range(5)],
    "html": [{"prompt": "b", "completion": f"<p>Guten Tag, {PERSON}</p>"}],
    "unicode": [{"prompt": "c", "completion": f"u\u0308ber {PERSON}"}],
    "controlCharacters": [{"prompt": "d", "completion": f"\x07{PERSON}"}],
    "whitespace": [{"prompt": "e", "completion": f"{PERSON}  \nund"}],
    "boilerplate": [
        {"prompt": "f", "completion": f"{PERSON}\n\nVon meinem iPhone gesendet\nDiese E-Mail ist vertraulich, {PERSON}"}
    ],
    "boilerplatePhrases": [{"prompt": "g", "completion": f"Ja.\nAmtsgericht Musterstadt {PERSON}"}],
    "placeholders": [{"prompt": PERSON, "completion": "TODO"}, {"prompt": "h", "completion": f"Lorem ipsum {PERSON}"}],
    "refusals": [{"prompt": "i", "completion": f"Als KI-Sprachmodell kann ich {PERSON} nicht helfen."}],
    "maxRepetition": [{"prompt": "j", "completion": CIRCLE}],
    "languages": [{"prompt": "k", "completion": f"{FRENCH} {PERSON}"}],
    "minCharacters": [{"prompt": "l", "completion": "K"}],
    "maxCharacters": [{"prompt": PERSON, "completion": "m" * 5000}],
    "emptyTurns": [
        {"messages": [{"role": role, "content": text} for role, text in (("user", PERSON), ("assistant", " "))] * 2},
    ],
}
CLEAN = {
    "html": True, "boilerplate": "remove", "boilerplatePhrases": ["Amtsgericht Musterstadt"], "languages": ["de", "en"],
    "minCharacters": 2, "maxCharacters": 4000,
}  # fmt: skip


def prepare(data: Path, workspace: Path, **preparation: Any) -> tuple[stages.Ended, dict[str, Any], str]:
    """How it ended, the report and its page."""
    said = {"split": {"validation": 0, "test": 0}, "deduplicate": "none", **preparation}
    raw = stages.manifest(Path("/none"), [{"uri": f"file://{data}"}], workspace / "out", preparation=said)
    config = stages.orders(raw, Stage.PREPARE, workspace)
    config = config.model_copy(update={"model": config.model.model_copy(update={"uri": WITHOUT_MODEL})})
    end = stages.run_here(config, workspace / "prepare-1")
    assert end.code == 0, end.log
    reports = workspace / "reports"
    return end, json.loads((reports / "data.json").read_text()), (reports / "data.html").read_text(encoding="utf-8")


def messages(row: dict[str, Any]) -> dict[str, Any]:
    """A row of any shape as a conversation, since a dataset has one shape."""
    if "messages" in row:
        turns = [*row["messages"][:-1], {"role": "assistant", "content": "So."}]
        return {"messages": turns}
    return {"messages": [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]}


@pytest.fixture(scope="module", params=["none", "surrogate"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """Report and page of data in which every rule has something to do, with and without anonymisation."""
    folder = tmp_path_factory.mktemp("told")
    rows = [GOOD, *(row for rows in BAD.values() for row in rows)]
    data = write_jsonl(folder / "rows.jsonl", list(map(messages, rows)))
    anonymize = {"strategy": request.param, "maxResidualRate": 1}
    return prepare(data, folder / "w", clean=CLEAN, anonymize=anonymize)[1:]


def test_every_rule_says_how_often_it_acted(told: tuple[dict[str, Any], str]) -> None:
    report, _ = told
    rules = {rule["name"]: rule for rule in report["rules"]}
    assert set(rules) == set(BAD)
    for name, rows in BAD.items():
        acted = rules[name]["changed"] + rules[name]["dropped"]
        assert acted >= len(rows), name
        assert len(rules[name]["samples"]) == min(3, acted), name
    assert rules["encoding"]["changed"] == 5
    assert rules["placeholders"]["dropped"] == 2
    dropped = report["datasets"][0]["dropped"]
    assert sum(rule["dropped"] for rule in report["rules"]) == sum(dropped.values())
    assert dropped["refusals"] == 1


def test_samples_show_what_a_rule_did_and_nothing_that_a_person_wrote(told: tuple[dict[str, Any], str]) -> None:
    report, page = told
    samples = {rule["name"]: rule["samples"][0] for rule in report["rules"]}
    assert samples["encoding"]["before"].startswith("Xxx xxx xÃ¼x ")
    assert samples["encoding"]["after"].startswith("Xxx xxx xüx ")
    assert samples["encoding"]["line"] == 2
    assert samples["html"]["before"].startswith("<p>Xxxxx Xxx, ")
    assert "Von meinem iPhone gesendet" in samples["boilerplate"]["before"]
    assert "gesendet" not in samples["boilerplate"]["after"]
    assert samples["refusals"]["before"].startswith("Als KI-Sprachmodell xxxx xxx ")
    assert samples["refusals"]["after"] is None
    assert samples["languages"]["found"] == "fr"
    assert "[EMAIL]" in samples["encoding"]["before"]
    for rule in report["rules"]:
        assert all(len(sample["before"]) < 300 for sample in rule["samples"])
    for secret in SECRETS:
        assert secret not in json.dumps(report, ensure_ascii=False), secret
        assert secret not in page, secret
    assert "xÃ¼x" in page
    assert "French" in page


def test_what_is_left_is_what_a_person_would_want_to_train_on(tmp_path: Path) -> None:
    rows = [GOOD, *(row for name in ("encoding", "placeholders", "refusals", "maxRepetition") for row in BAD[name])]
    _, report, _ = prepare(write_jsonl(tmp_path / "rows.jsonl", rows), tmp_path / "w")
    assert report["summary"]["examples"] == {
        "read": 10,
        "kept": 6,
        "droppedByReason": {"placeholders": 2, "refusals": 1, "maxRepetition": 1},
    }
    assert report["languages_of"] == "every eighth"
    assert report["languages"] == {"de": 1}, "the first of eight rows; the ninth is left out for something else"


def test_footers_go_from_mail_and_stay_in_a_table_unless_the_job_says_otherwise(tmp_path: Path) -> None:
    footer = "Von meinem iPhone gesendet"
    head = "Date: Mon, 2 Nov 2026 09:00:00 +0000\nContent-Type: text/plain; charset=utf-8\n"
    box = tmp_path / "a.mbox"
    box.write_text(
        f"From a@a.de\nFrom: a@a.de\nSubject: Frage\nMessage-ID: <1@a>\n{head}\nWie geht das?\n\n{footer}\n\n"
        f"From b@b.de\nFrom: b@b.de\nSubject: Re: Frage\nMessage-ID: <2@b>\nIn-Reply-To: <1@a>\n{head}\nBitte neu starten.\n\n"
    )
    table = write_jsonl(tmp_path / "rows.jsonl", [{"prompt": f"Wie geht das?\n\n{footer}", "completion": "Bitte neu starten."}])
    kept = {}
    for data, said in ((box, "auto"), (table, "auto"), (table, "remove"), (box, "keep")):
        _, report, _ = prepare(data, tmp_path / f"{data.name}-{said}", clean={"boilerplate": said})
        kept[data.name, said] = report["cleaned"].get("boilerplate", 0) == 0
    assert kept == {
        ("a.mbox", "auto"): False,
        ("rows.jsonl", "auto"): True,
        ("rows.jsonl", "remove"): False,
        ("a.mbox", "keep"): True,
    }
