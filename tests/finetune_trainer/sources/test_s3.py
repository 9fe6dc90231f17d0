from __future__ import annotations

from typing import Any

import pytest

from finetune_api.errors import Transient, UserError
from servers.hands import Hands
from servers.s3 import KEYS, S3Server, Trouble
from servers.samples import BALLAST, MODEL, ROWS, read
from servers.web import WebServer


@pytest.fixture
def bucket(store: S3Server) -> Any:
    """Puts an object into the bucket corp."""
    client = store.client()

    def put(key: str, data: bytes) -> None:
        client.put_object(Bucket="corp", Key=key, Body=data)

    return put


def names(hands: Hands, uri: str) -> list[str]:
    return [file.name for file in hands.files(uri)]


def test_one_object_is_a_file(hands: Hands, bucket: Any) -> None:
    bucket("support/tickets.jsonl", ROWS)
    bucket("support/tickets.jsonl.old", b"")

    (file,) = hands.files("s3://corp/support/tickets.jsonl")

    assert (file.name, file.path.read_bytes()) == ("tickets.jsonl", ROWS)


def test_a_prefix_is_a_directory_and_ends_at_a_slash(hands: Hands, bucket: Any) -> None:
    for key in ("support/b.jsonl", "support/2026/a.csv.gz", "support/README.json", "support/.hidden.jsonl", "support/x.png"):
        bucket(key, b"1")
    bucket("support/", b"")
    bucket("support-old/c.jsonl", b"1")

    assert names(hands, "s3://corp/support") == ["2026/a.csv.gz", "b.jsonl"]
    assert names(hands, "s3://corp/support/") == ["2026/a.csv.gz", "b.jsonl"]


def test_a_pattern_chooses_among_keys(hands: Hands, bucket: Any) -> None:
    for key in ("t/2026-01.jsonl.gz", "t/2026-02.jsonl.gz", "t/2025-12.jsonl.gz", "t/deep/2026-03.jsonl.gz"):
        bucket(key, b"1")

    assert names(hands, "s3://corp/t/2026-*.jsonl.gz") == ["2026-01.jsonl.gz", "2026-02.jsonl.gz"]
    assert names(hands, "s3://corp/t/**/2026-0[23].jsonl.gz") == ["2026-02.jsonl.gz", "deep/2026-03.jsonl.gz"]
    assert names(hands, "s3://corp/*/2025-12*") == ["t/2025-12.jsonl.gz"]


def test_keys_with_blanks_and_wildcards_can_be_named(hands: Hands, bucket: Any) -> None:
    bucket("my data/rows [1]*.jsonl", ROWS)

    assert hands.files("s3://corp/my%20data/rows%20[1]*.jsonl")[0].path.read_bytes() == ROWS


def test_more_objects_than_one_page_lists_are_all_found(
    hands: Hands, bucket: Any, store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    for number in range(7):
        bucket(f"many/{number}.jsonl", b"{}")

    assert len(names(hands, "s3://corp/many")) == 7
    assert sum("continuation-token" in asked for asked in store.asked) == 2


def test_a_model_comes_without_pickles_code_and_doubles(hands: Hands, bucket: Any) -> None:
    for name, data in (MODEL | BALLAST).items():
        bucket(f"models/qwen/{name}", data)

    model = hands.model("s3://corp/models/qwen")

    assert {name: data for name, data in read(model.directory).items() if not name.startswith(".")} == MODEL
    assert (model.gguf, model.revision, model.uri) == (None, None, "s3://corp/models/qwen")


def test_a_second_attempt_fetches_only_what_changed(hands: Hands, bucket: Any, store: S3Server) -> None:
    for name, data in MODEL.items():
        bucket(f"models/qwen/{name}", data)
    hands.model("s3://corp/models/qwen")
    bucket("models/qwen/config.json", MODEL["config.json"].upper())
    store.asked.clear()

    model = hands.model("s3://corp/models/qwen")

    assert [asked for asked in store.asked if "list-type" not in asked] == ["GET /corp/models/qwen/config.json"]
    assert (model.directory / "config.json").read_bytes() == MODEL["config.json"].upper()


def test_a_download_goes_on_where_the_connection_broke(hands: Hands, bucket: Any, store: S3Server) -> None:
    bucket("rows.jsonl", ROWS)
    store.cuts = 1

    assert hands.files("s3://corp/rows.jsonl")[0].path.read_bytes() == ROWS
    assert [asked for asked in store.asked if "list-type" not in asked] == ["GET /corp/rows.jsonl"] * 2


def test_an_object_that_is_replaced_between_list_and_read_is_not_mixed(hands: Hands, bucket: Any, store: S3Server) -> None:
    bucket("rows.jsonl", ROWS)

    def replace_it(request: str) -> None:
        if request == "GET /corp/rows.jsonl":
            store.before = lambda request: None
            bucket("rows.jsonl", ROWS.upper())

    store.before = replace_it

    with pytest.raises(Transient, match=r"s3://corp/rows\.jsonl changed while it was read"):
        hands.files("s3://corp/rows.jsonl")

    assert hands.files("s3://corp/rows.jsonl")[0].path.read_bytes() == ROWS.upper()


def test_an_object_that_is_replaced_in_the_middle_of_a_download_is_not_mixed(
    hands: Hands, bucket: Any, store: S3Server
) -> None:
    bucket("rows.jsonl", ROWS)
    store.cuts = 1

    def replace_it(request: str) -> None:
        if request == "GET /corp/rows.jsonl" and store.cuts == 0:
            bucket("rows.jsonl", ROWS.upper())

    store.before = replace_it

    with pytest.raises(Transient, match="changed while it was read"):
        hands.files("s3://corp/rows.jsonl")


def test_a_part_of_an_older_object_is_thrown_away(hands: Hands, bucket: Any, store: S3Server) -> None:
    bucket("rows.jsonl", ROWS)
    store.cuts = 1
    with pytest.raises(Transient):
        hands.less_patient(attempts=1).files("s3://corp/rows.jsonl")
    bucket("rows.jsonl", ROWS.upper())

    assert hands.files("s3://corp/rows.jsonl")[0].path.read_bytes() == ROWS.upper()


def test_an_older_copy_does_not_pass_for_the_newer_one_that_never_came_whole(
    hands: Hands, bucket: Any, store: S3Server
) -> None:
    bucket("rows.jsonl", ROWS)
    hands.files("s3://corp/rows.jsonl")
    bucket("rows.jsonl", ROWS.upper())
    store.cuts = 1
    with pytest.raises(Transient):
        hands.less_patient(attempts=1).files("s3://corp/rows.jsonl")

    assert hands.files("s3://corp/rows.jsonl")[0].path.read_bytes() == ROWS.upper()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("SignatureDoesNotMatch", "does not accept the credentials (SignatureDoesNotMatch)"),
        ("InvalidAccessKeyId", "does not accept the credentials (InvalidAccessKeyId)"),
        ("AccessDenied", "is not allowed with these credentials (AccessDenied)"),
    ],
)
def test_wrong_credentials_are_told_from_missing_rights(hands: Hands, store: S3Server, code: str, says: str) -> None:
    store.trouble.append(Trouble("GET", "/corp", code))
    store.trouble.append(Trouble("HEAD", "/corp", code))

    with pytest.raises(UserError) as caught:
        hands.files("s3://corp/rows.jsonl")

    assert caught.value.message == f"s3://corp/rows.jsonl {says}."
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in spec.datasets[0].secretName" in (caught.value.hint or "")
    assert "test-secret" not in repr(caught.value)


def test_an_expired_session_is_named(hands: Hands, store: S3Server) -> None:
    store.trouble.append(Trouble("GET", "/corp", "ExpiredToken"))

    with pytest.raises(UserError, match="does not accept the credentials any more") as caught:
        hands.files("s3://corp/data")

    assert caught.value.hint == "Renew AWS_SESSION_TOKEN."


def test_who_may_read_one_object_need_not_list_the_bucket(hands: Hands, bucket: Any, store: S3Server) -> None:
    bucket("rows.jsonl", ROWS)
    store.trouble.append(Trouble("GET", "/corp", "AccessDenied", times=1))

    assert hands.files("s3://corp/rows.jsonl")[0].path.read_bytes() == ROWS


def test_missing_credentials_are_asked_for_without_waiting(
    hands: Hands, store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*KEYS, "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
        hands.environment.pop(name, None)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", store.url)

    with pytest.raises(UserError, match="needs credentials, and there are none") as caught:
        hands.files("s3://corp/rows.jsonl")

    assert "secretName" in (caught.value.hint or "")
    assert not any("latest" in asked for asked in store.asked)


def test_a_key_without_its_secret_is_noticed(hands: Hands, store: S3Server) -> None:
    del hands.environment["AWS_SECRET_ACCESS_KEY"]

    with pytest.raises(UserError, match="needs credentials, and there is only a part of them"):
        hands.files("s3://corp/rows.jsonl")


def test_keys_of_the_uri_go_before_those_of_all_and_are_not_mixed_with_them(hands: Hands, bucket: Any, store: S3Server) -> None:
    bucket("rows.jsonl", ROWS)
    hands.environment |= {"AWS_ACCESS_KEY_ID": "shared", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "of-shared"}
    hands.environment |= {f"DATA_{name}": value for name, value in KEYS.items()}
    hands.prefix = "DATA_"
    store.shown.clear()

    hands.files("s3://corp/rows.jsonl")

    assert set(store.shown) == {("test-key", None)}


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("s3://corp/wrong.jsonl", "does not exist: no object has this key or begins with it and a slash"),
        ("s3://corp/*.jsonl", "matches no file"),
        ("s3://nobody/x.jsonl", 'does not exist: no bucket "nobody"'),
        ("s3://UPPER CASE/x.jsonl", 'names no valid bucket or key: "UPPER CASE"'),
        ("s3:///x.jsonl", "names no bucket"),
    ],
)
def test_what_does_not_exist_is_named(hands: Hands, store: S3Server, uri: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        hands.files(uri)

    assert caught.value.message == f"{uri} {says}."


def test_an_object_that_is_deleted_meanwhile_is_named(hands: Hands, bucket: Any, store: S3Server) -> None:
    bucket("data/a.jsonl", ROWS)
    store.trouble.append(Trouble("GET", "/corp/data/a.jsonl", "NoSuchKey"))

    with pytest.raises(UserError, match=r"s3://corp/data does not exist \(data/a\.jsonl\)"):
        hands.files("s3://corp/data")


def test_a_busy_store_is_asked_again(hands: Hands, bucket: Any, store: S3Server) -> None:
    bucket("rows.jsonl", ROWS)
    store.trouble.append(Trouble("GET", "/corp", "SlowDown", times=1))

    assert hands.files("s3://corp/rows.jsonl")[0].path.read_bytes() == ROWS


def test_a_store_that_stays_busy_ends_as_transient(hands: Hands, bucket: Any, store: S3Server) -> None:
    store.trouble.append(Trouble("GET", "/corp", "InternalError"))

    with pytest.raises(Transient, match=r"s3://corp/data answered with status 500 InternalError\."):
        hands.files("s3://corp/data")


def test_a_store_that_is_not_there_ends_as_transient(hands: Hands, store: S3Server) -> None:
    hands.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"

    with pytest.raises(Transient, match=r"s3://corp/data cannot be reached: Connection refused"):
        hands.less_patient(attempts=1).files("s3://corp/data")


def test_an_endpoint_that_is_no_address_is_named(hands: Hands, store: S3Server) -> None:
    hands.environment["AWS_ENDPOINT_URL"] = "minio.internal"

    with pytest.raises(UserError, match="AWS_ENDPOINT_URL is no https:// or http:// address"):
        hands.files("s3://corp/data")


def test_an_authority_that_is_not_trusted_is_the_users_to_mend(hands: Hands, store: S3Server, web: WebServer) -> None:
    hands.environment["AWS_ENDPOINT_URL"] = web.url
    del hands.environment["SSL_CERT_FILE"]

    with pytest.raises(UserError, match="has a certificate that is not trusted"):
        hands.less_patient(attempts=1).files("s3://corp/data")


def test_a_bucket_of_another_region_is_named(hands: Hands, store: S3Server) -> None:
    store.trouble.append(Trouble("GET", "/corp", "PermanentRedirect"))

    with pytest.raises(UserError, match="is in another region"):
        hands.files("s3://corp/data")


def test_a_key_that_would_leave_the_destination_is_refused(hands: Hands, bucket: Any) -> None:
    bucket("data//etc/rows.jsonl", ROWS)

    with pytest.raises(UserError, match=r"holds a file with an unusable name: '/etc/rows\.jsonl'"):
        hands.files("s3://corp/data/**")
