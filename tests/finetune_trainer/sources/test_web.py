from __future__ import annotations

import pytest

from finetune_api.errors import FinetuneError, Transient, UserError
from servers.hands import Hands
from servers.samples import ROWS
from servers.web import WebServer

FIELD = "spec.datasets[0].uri"


@pytest.fixture
def rows(web: WebServer) -> str:
    web.files["/export/rows.jsonl"] = ROWS
    return f"{web.url}/export/rows.jsonl"


def parts(hands: Hands) -> list[str]:
    """Names in the folder of downloads."""
    return sorted(path.name for path in (hands.folder / "raw").iterdir())


def test_a_file_comes_whole_and_leaves_no_part(hands: Hands, rows: str) -> None:
    (file,) = hands.files(rows)

    assert file.path.read_bytes() == ROWS
    assert file.name == "rows.jsonl"
    assert parts(hands) == [".rows.jsonl.version", "rows.jsonl"]


def test_a_download_goes_on_where_the_connection_broke(hands: Hands, web: WebServer, rows: str) -> None:
    web.manners.cuts = 2

    (file,) = hands.files(rows)

    assert file.path.read_bytes() == ROWS
    first, second, third = (asked.headers for asked in web.asked)
    assert "range" not in first
    half = len(ROWS) // 2
    assert second["range"] == f"bytes={half}-"
    assert third["range"] == f"bytes={half + (len(ROWS) - half) // 2}-"
    assert second["if-range"].startswith('"')


def test_a_line_that_breaks_every_time_is_enough_as_long_as_bytes_come(hands: Hands, web: WebServer, rows: str) -> None:
    web.manners.cuts = 12  # each try brings half of what is left: far more tries than patience has in a row

    assert hands.files(rows)[0].path.read_bytes() == ROWS


def test_the_next_attempt_goes_on_with_what_a_killed_one_left(hands: Hands, web: WebServer, rows: str) -> None:
    web.manners.cuts = 1
    with pytest.raises(Transient):
        hands.less_patient(attempts=1).files(rows)
    assert parts(hands) == [".rows.jsonl.version", "rows.jsonl.part"]

    (file,) = hands.files(rows)

    assert file.path.read_bytes() == ROWS
    assert web.asked[-1].headers["range"] == f"bytes={len(ROWS) // 2}-"


@pytest.mark.parametrize("asks_if_range", [True, False])
def test_two_versions_of_a_file_are_never_joined(hands: Hands, web: WebServer, rows: str, asks_if_range: bool) -> None:
    web.manners.cuts = 1
    web.manners.asks_if_range = asks_if_range
    with pytest.raises(Transient):
        hands.less_patient(attempts=1).files(rows)
    web.files["/export/rows.jsonl"] = ROWS.replace(b"prompt", b"PROMPT")

    assert hands.less_patient(attempts=2).files(rows)[0].path.read_bytes() == ROWS.replace(b"prompt", b"PROMPT")


def test_without_etags_a_broken_download_begins_anew(hands: Hands, web: WebServer, rows: str) -> None:
    web.manners.etags = False
    web.manners.cuts = 1

    assert hands.files(rows)[0].path.read_bytes() == ROWS
    assert "range" not in web.asked[1].headers


def test_a_server_that_knows_no_ranges_sends_the_file_again(hands: Hands, web: WebServer, rows: str) -> None:
    web.manners.ranges = False
    web.manners.cuts = 1

    assert hands.files(rows)[0].path.read_bytes() == ROWS


def test_a_pod_that_died_just_before_the_last_step_leaves_nothing_to_mend(hands: Hands, web: WebServer, rows: str) -> None:
    hands.files(rows)
    (hands.folder / "raw/rows.jsonl").rename(hands.folder / "raw/rows.jsonl.part")

    assert hands.files(rows)[0].path.read_bytes() == ROWS
    assert web.asked[-1].headers["range"] == f"bytes={len(ROWS)}-"


def test_a_second_attempt_only_asks_whether_the_file_is_still_the_same(hands: Hands, web: WebServer, rows: str) -> None:
    hands.files(rows)
    assert hands.files(rows)[0].path.read_bytes() == ROWS
    assert [asked.headers.get("range") for asked in web.asked] == [None, f"bytes={len(ROWS)}-"]

    web.files["/export/rows.jsonl"] = ROWS[:500]
    assert hands.files(rows)[0].path.read_bytes() == ROWS[:500]


def test_a_server_that_always_breaks_off_ends_as_transient_and_nothing_looks_complete(
    hands: Hands, web: WebServer, rows: str
) -> None:
    web.files["/export/rows.jsonl"] = b"x" * 3000
    web.manners.ranges = False
    web.manners.cuts = -1

    with pytest.raises(Transient, match=r"rows\.jsonl ended after 1,500 of 3,000 bytes \(4 tries\)"):
        hands.files(rows)

    assert not (hands.folder / "raw/rows.jsonl").exists()


def test_a_chunked_answer_that_breaks_off_is_noticed(hands: Hands, web: WebServer, rows: str) -> None:
    web.manners.chunked = True
    web.manners.cuts = -1
    with pytest.raises(Transient):
        hands.files(rows)

    web.manners.cuts = 0
    assert hands.files(rows)[0].path.read_bytes() == ROWS


def test_an_answer_without_any_end_mark_is_refused(hands: Hands, web: WebServer, rows: str) -> None:
    web.manners.endless = True

    with pytest.raises(UserError, match="does not say how long it is"):
        hands.files(rows)


def test_a_busy_server_is_asked_again_with_growing_pauses(hands: Hands, web: WebServer, rows: str) -> None:
    web.manners.refusals.extend([(503, {}), (500, {}), (503, {})])

    assert hands.files(rows)[0].path.read_bytes() == ROWS
    assert hands.slept == [1.0, 2.0, 4.0]


def test_a_server_that_stays_busy_ends_as_transient(hands: Hands, web: WebServer, rows: str) -> None:
    web.manners.refusals.extend([(503, {})] * 9)

    with pytest.raises(Transient) as caught:
        hands.files(rows)

    assert caught.value.message == f"{rows} answered with status 503 (4 tries)."
    assert caught.value.field == FIELD
    assert len(web.asked) == 4


def test_retry_after_is_honoured(hands: Hands, web: WebServer, rows: str) -> None:
    web.manners.refusals.append((429, {"Retry-After": "7"}))

    hands.files(rows)

    assert hands.slept == [7.0]


def test_retry_after_of_an_hour_is_left_to_the_next_attempt(hands: Hands, web: WebServer, rows: str) -> None:
    web.manners.refusals.append((429, {"Retry-After": "3600"}))

    with pytest.raises(Transient, match=r"status 429 \(1 try; it asks to wait 3600 s\)"):
        hands.files(rows)

    assert hands.slept == []


def test_a_server_that_never_answers_is_given_up(hands: Hands, web: WebServer, rows: str) -> None:
    web.manners.hangs = True

    with pytest.raises(Transient, match=r"cannot be reached: no answer in time \(2 tries\)"):
        hands.less_patient(timeout=0.2).files(rows)


def test_nobody_at_the_port_is_transient(hands: Hands, rows: str) -> None:
    with pytest.raises(Transient, match="Connection refused"):
        hands.files("https://127.0.0.1:9/rows.jsonl")


def test_a_missing_file_is_the_users_to_mend(hands: Hands, web: WebServer) -> None:
    with pytest.raises(UserError) as caught:
        hands.files(f"{web.url}/wrong.jsonl?signature=secret")

    assert str(caught.value) == f"{FIELD}: {web.url}/wrong.jsonl does not exist (status 404)."
    assert len(web.asked) == 1


def test_a_query_is_sent_and_never_shown(hands: Hands, web: WebServer, rows: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    web.manners.refusals.append((500, {}))

    hands.files(f"{rows}?signature=secret")

    assert web.asked[-1].query == {"signature": ["secret"]}
    assert "rows.jsonl" in caplog.text
    assert "secret" not in caplog.text


def test_the_token_of_the_secret_is_sent(hands: Hands, web: WebServer, rows: str) -> None:
    web.token = "right"
    hands.environment |= {"HTTPS_TOKEN": "wrong", "DATA_HTTPS_TOKEN": "right"}
    hands.prefix = "DATA_"

    assert hands.files(rows)[0].path.read_bytes() == ROWS


def test_a_missing_token_is_asked_for_by_name(hands: Hands, web: WebServer, rows: str) -> None:
    web.token = "right"

    with pytest.raises(UserError) as caught:
        hands.files(rows)

    assert caught.value.message.endswith("asks for a token (status 401).")
    assert "HTTPS_TOKEN in spec.datasets[0].secretName" in (caught.value.hint or "")


def test_a_wrong_token_is_named_as_such_and_not_shown(hands: Hands, web: WebServer, rows: str) -> None:
    web.token = "right"
    hands.environment["HTTPS_TOKEN"] = "sesame"

    with pytest.raises(UserError, match="may not be read with these credentials") as caught:
        hands.files(rows)

    assert "sesame" not in repr(caught.value)


def test_the_token_stays_with_the_host_it_was_meant_for(hands: Hands, web: WebServer) -> None:
    hands.environment["HTTPS_TOKEN"] = "sesame"
    with WebServer() as elsewhere:
        elsewhere.files["/rows.jsonl"] = ROWS
        web.redirects["/rows.jsonl"] = f"{elsewhere.url}/rows.jsonl"

        hands.files(f"{web.url}/rows.jsonl")

        assert web.asked[0].headers["authorization"] == "Bearer sesame"
        assert "authorization" not in elsewhere.asked[0].headers


def test_the_token_follows_a_redirect_within_its_host(hands: Hands, web: WebServer, rows: str) -> None:
    web.token = hands.environment["HTTPS_TOKEN"] = "right"
    web.redirects["/old.jsonl"] = "/export/rows.jsonl"

    assert hands.files(f"{web.url}/old.jsonl")[0].path.read_bytes() == ROWS


def test_a_redirect_that_leaves_tls_is_not_followed(hands: Hands, web: WebServer) -> None:
    web.redirects["/rows.jsonl"] = "http://127.0.0.1:9/rows.jsonl"

    with pytest.raises(UserError, match="redirects from https to http"):
        hands.files(f"{web.url}/rows.jsonl")


def test_an_unknown_authority_is_not_trusted(hands: Hands, rows: str) -> None:
    del hands.environment["SSL_CERT_FILE"]

    with pytest.raises(UserError, match="certificate that is not trusted") as caught:
        hands.files(rows)

    assert "SSL_CERT_FILE" in (caught.value.hint or "")


def test_a_missing_bundle_of_authorities_is_named(hands: Hands, rows: str) -> None:
    hands.environment["SSL_CERT_FILE"] = "/nowhere/ca.pem"

    with pytest.raises(UserError, match=r"SSL_CERT_FILE=/nowhere/ca\.pem is not readable"):
        hands.files(rows)


def test_a_single_gguf_file_is_a_model(hands: Hands, web: WebServer) -> None:
    web.files["/smollm.gguf"] = b"GGUF" * 100

    model = hands.model(f"{web.url}/smollm.gguf?signature=secret")

    assert model.gguf == hands.folder / "model/smollm.gguf"
    assert model.gguf.read_bytes() == b"GGUF" * 100
    assert model.uri == f"{web.url}/smollm.gguf"


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("https://host/", "names no file"),
        ("https://host/data/", "names no file"),
        ("https://host:port/rows.jsonl", "https://host:port/rows.jsonl is no valid address"),
        ("https://host/*.jsonl", "holds a pattern, but https:// names one file"),
        ("https://user:sesame@host/rows.jsonl", "https://host/rows.jsonl carries a user name or password"),
        ("http://host/rows.jsonl", "cannot be read: a dataset comes from hf, s3, pvc, https, file or configMap"),
    ],
)
def test_an_address_that_names_no_one_file_is_refused_before_anything_is_asked(hands: Hands, uri: str, says: str) -> None:
    with pytest.raises(FinetuneError) as caught:
        hands.files(uri)

    assert says in str(caught.value)
    assert "sesame" not in str(caught.value)
