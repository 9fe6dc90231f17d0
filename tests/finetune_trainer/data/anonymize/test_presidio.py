"""A Presidio analyzer as a detector, over a real connection: what it finds, and every way in which it fails."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from finetune_api.contract.trainer_config import DetectorInput
from finetune_api.errors import Transient, UserError
from finetune_api.v1alpha1.anonymize import Anonymize
from finetune_trainer.data.anonymize import Anonymizer, Placed
from finetune_trainer.data.anonymize.findings import Finding
from finetune_trainer.data.anonymize.presidio import Presidio
from finetune_trainer.data.inputs.formats import Example
from finetune_trainer.sources.patience import Patience
from servers.presidio import PresidioServer
from servers.web import WebServer, certificate

FIELD = "spec.preparation.anonymize.detectors[0]"
SECRET = "Zorblax Quinby, patient 4711"
BRIEF = Patience(attempts=3, first_wait=0.0, total_wait=1.0)
FINDS = {"Zorblax": "PERSON", "Xanadu": "LOCATION", "4711": "MEDICAL_RECORD"}


@pytest.fixture
def server() -> Iterator[PresidioServer]:
    with PresidioServer(FINDS) as running:
        yield running


def orders(uri: str, **more: Any) -> DetectorInput:
    return DetectorInput(field=FIELD, uri=uri, environment_prefix="DETECTOR_0_", **more)


def a_presidio(server: PresidioServer, environment: dict[str, str] | None = None, **more: Any) -> Presidio:
    return Presidio(orders(server.uri, **more), ("de", "en"), environment or {}, BRIEF)


def test_what_it_finds_is_named_as_here_and_each_text_is_asked_in_its_language(server: PresidioServer) -> None:
    presidio = a_presidio(server)
    assert presidio(["Ich bin Zorblax", "", "in 😀 Xanadu, 4711"], ["de", "en", "en"]) == [
        [Finding("PERSON", 8, 15, 1)],
        [],
        [Finding("ADDRESS", 5, 11, 1)],
    ]
    assert sorted(server.texts) == [("Ich bin Zorblax", "de"), ("in 😀 Xanadu, 4711", "en")]


def test_labels_of_the_manifest_say_what_is_used(server: PresidioServer) -> None:
    presidio = a_presidio(server, labels={"MEDICAL_RECORD": "SOCIAL_SECURITY"})
    assert presidio(["Zorblax 4711"], ["en"]) == [[Finding("SOCIAL_SECURITY", 8, 12, 1)]]


def test_what_is_not_sure_enough_is_not_used(server: PresidioServer) -> None:
    assert a_presidio(server, min_score=0.9)(["Zorblax"], ["en"]) == [[]]
    server.answer = json.dumps([{"entity_type": "PERSON", "start": 0, "end": 7, "score": 0.3}]).encode()
    assert a_presidio(server)(["Zorblax"], ["en"]) == [[]]


def test_a_text_longer_than_an_analyzer_takes_is_sent_in_pieces_and_nothing_between_them_is_lost(
    server: PresidioServer,
) -> None:
    text = "und so weiter Zorblax. " * 9_000
    (found,) = a_presidio(server)([text], ["de"])
    assert len(server.texts) >= 5, "one more where a busy machine was asked again"
    assert max(len(piece) for piece, _ in server.texts) == 50_000
    wanted = [begin for begin in range(len(text)) if text.startswith("Zorblax", begin)]
    assert sorted({one.begin for one in found if one.end - one.begin == 7}) == wanted


def test_it_is_part_of_the_anonymisation(server: PresidioServer) -> None:
    placed = Placed(orders(server.uri))
    anonymizer = Anonymizer(Anonymize(strategy="mask"), {}, [placed])
    result = anonymizer.all([Example(text="Der Zorblax aus Xanadu, geb. 07.06.1949")], ["a"])
    assert result[0].text == "Der [PERSON] aus [ADDRESS], geb. [DATE_OF_BIRTH]"


# ---------------------------------------------------------------- how it fails


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_server_that_fails_once_is_asked_again(server: PresidioServer, status: int) -> None:
    presidio = a_presidio(server)
    server.manners.refusals.extend([(status, {})] * 2)
    assert presidio(["Zorblax"], ["de"]) == [[Finding("PERSON", 0, 7, 1)]]


def test_a_server_that_goes_on_failing_is_transient_with_field_and_number_of_tries(server: PresidioServer) -> None:
    presidio = a_presidio(server)
    server.manners.refusals.extend([(500, {})] * 9)
    with pytest.raises(Transient, match=r"answered with status 500 \(3 tries\)") as caught:
        presidio([SECRET], ["de"])
    assert caught.value.field == f"{FIELD}.uri"


def test_a_server_that_is_silent_is_transient(server: PresidioServer) -> None:
    presidio = Presidio(orders(server.uri), ("de", "en"), {}, replace(BRIEF, timeout=0.5))
    server.manners.hangs = True
    with pytest.raises(Transient, match="no answer in time"):
        presidio([SECRET], ["de"])


def test_a_server_that_is_not_there_is_transient() -> None:
    with PresidioServer(FINDS) as gone:
        address = gone.uri
    with pytest.raises(Transient, match="cannot be reached"):
        Presidio(orders(address), ("de",), {}, BRIEF)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            [{"entity_type": "PERSON", "start": 3, "end": 9_999, "score": 1.0}],
            "names characters 3 to 9,999 of a text that has 28",
        ),
        ([{"entity_type": "PERSON", "start": -1, "end": 3, "score": 1.0}], "names characters -1 to 3"),
        ([{"entity_type": "PERSON", "start": 5, "end": 5, "score": 1.0}], "names characters 5 to 5"),
        ([{"entity_type": "PERSON", "start": "0", "end": 3, "score": 1.0}], "lack entity_type, start, end or score"),
        ([{"entity_type": "PERSON"}], "lack entity_type, start, end or score"),
        ([["PERSON", 0, 3]], "lack entity_type, start, end or score"),
        ({"text": SECRET}, "something else than a list"),
        (None, "answers no JSON"),
    ],
)
def test_answers_that_no_analyzer_gives_are_refused_and_no_text_is_told(
    server: PresidioServer, answer: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    presidio = a_presidio(server)
    server.answer = b"<html>Zorblax" if answer is None else json.dumps(answer).encode()
    with caplog.at_level(logging.DEBUG), pytest.raises(UserError) as caught:
        presidio([SECRET], ["de"])
    assert said in caught.value.message
    told = f"{caught.value} {caught.value.hint} {caplog.text}"
    assert not [word for word in SECRET.split() if word in told]


def test_a_language_that_it_does_not_know_is_told_before_the_first_text(server: PresidioServer) -> None:
    server.languages = ["en"]
    with pytest.raises(UserError, match='no recognizers for the language "de"') as caught:
        a_presidio(server)
    assert "spec.preparation.anonymize.languages" in str(caught.value.hint)
    assert server.texts == []


def test_a_label_that_it_does_not_know_is_told_with_those_it_knows(server: PresidioServer) -> None:
    with pytest.raises(UserError, match="finds no PERSONS; it finds LOCATION, MEDICAL_RECORD, PERSON") as caught:
        a_presidio(server, labels={"PERSONS": "PERSON"})
    assert caught.value.field == f"{FIELD}.labels"


def test_another_service_at_this_address_is_no_analyzer() -> None:
    with WebServer() as web:
        web.files["/supportedentities"] = b"hello"
        for files, said in (({}, "answered with status 404"), ({"/supportedentities": b"hello"}, "answers no JSON")):
            web.files = files
            with pytest.raises(UserError, match=said):
                Presidio(orders(f"presidio+{web.url}"), ("de",), {"SSL_CERT_FILE": web.authority}, BRIEF)


def test_texts_are_never_sent_elsewhere(server: PresidioServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with PresidioServer(FINDS) as other:
        monkeypatch.setenv("http_proxy", other.url)
        presidio = a_presidio(server)
        server.redirect = f"{other.url}/analyze"
        with pytest.raises(UserError, match="answered with status 302"):
            presidio([SECRET], ["de"])
        assert other.asked == []


# ---------------------------------------------------------------- who asks


def test_a_token_goes_over_tls_alone() -> None:
    import ssl

    environment = {"DETECTOR_0_HTTPS_TOKEN": "s3cret", "SSL_CERT_FILE": str(certificate()[0])}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate())
    with PresidioServer(FINDS, tls=context) as secure:
        secure.token = "s3cret"
        assert a_presidio(secure, environment)(["Zorblax"], ["de"]) == [[Finding("PERSON", 0, 7, 1)]]
        with pytest.raises(UserError, match="does not accept the credentials") as caught:
            a_presidio(secure, {"SSL_CERT_FILE": str(certificate()[0])})
        assert f"HTTPS_TOKEN in {FIELD}.secretName" in str(caught.value.hint)
        with pytest.raises(UserError, match="not trusted"):
            a_presidio(secure, {"DETECTOR_0_HTTPS_TOKEN": "s3cret"})
    with PresidioServer(FINDS) as plain:
        a_presidio(plain, environment)(["Zorblax"], ["de"])
        assert all("authorization" not in asked.headers for asked in plain.asked)


def test_a_password_in_the_address_is_refused() -> None:
    with pytest.raises(UserError, match="carries a user name or password"):
        Presidio(orders("presidio+https://me:secret@host"), ("de",), {}, BRIEF)


def test_its_errors_reach_the_stage_from_another_process(server: PresidioServer) -> None:
    presidio = a_presidio(server)
    server.manners.refusals.extend([(503, {})] * 9)
    with pytest.raises(Transient) as caught:
        presidio(["Zorblax"], ["de"])
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.message, again.field) == (Transient, caught.value.message, caught.value.field)
