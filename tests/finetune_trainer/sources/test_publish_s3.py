from __future__ import annotations

from pathlib import Path

import pytest

from finetune_api.errors import Transient, UserError
from servers.hands import Hands
from servers.s3 import S3Server, Trouble
from servers.samples import LAST, an_adapter, write

URI = "s3://corp/models/support"


def there(store: S3Server, prefix: str = "models/support/") -> dict[str, bytes]:
    """What lies below a prefix."""
    client = store.client()
    keys = [entry["Key"] for entry in client.list_objects_v2(Bucket="corp", Prefix=prefix).get("Contents", ())]
    return {key.removeprefix(prefix): client.get_object(Bucket="corp", Key=key)["Body"].read() for key in keys}


def writes(store: S3Server) -> list[str]:
    """What was written and deleted, in order."""
    return [
        asked.replace("/corp/models/support/", "").split("?")[0] for asked in store.asked if asked.startswith(("PUT", "DELETE"))
    ]


def test_a_publication_is_complete_and_nothing_else_is_left(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    files = an_adapter("v1", "reports/data.json")

    hands.publish(write(tmp_path / "v1", files), URI)

    assert there(store) == files


def test_the_files_at_which_readers_begin_are_written_last(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    hands.publish(write(tmp_path / "v1", an_adapter("v1", "a.json", "z.json")), URI)

    assert writes(store) == [
        "PUT .publishing",
        "PUT a.json",
        "PUT adapter_model.safetensors",
        "PUT z.json",
        "PUT adapter_config.json",
        "PUT manifest.json",
        "DELETE .publishing",
    ]


def test_a_replaced_publication_goes_in_the_opposite_order(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    hands.publish(write(tmp_path / "v1", an_adapter("v1", "old.json")), URI)
    store.asked.clear()

    hands.publish(write(tmp_path / "v2", an_adapter("v2", "new.json")), URI)

    assert there(store) == an_adapter("v2", "new.json")
    assert writes(store) == [
        "PUT .publishing",
        "DELETE manifest.json",
        "DELETE adapter_config.json",
        "DELETE old.json",
        "PUT adapter_model.safetensors",
        "PUT new.json",
        "PUT adapter_config.json",
        "PUT manifest.json",
        "DELETE .publishing",
    ]


def test_a_reader_sees_the_old_one_nothing_or_the_new_one_whenever_it_looks(
    hands: Hands, store: S3Server, tmp_path: Path
) -> None:
    old, new = an_adapter("old", "only-old.json"), an_adapter("new", "only-new.json")
    hands.publish(write(tmp_path / "old", old), URI)
    seen: list[dict[str, bytes]] = []
    store.before = lambda request: seen.append(there(store))

    hands.publish(write(tmp_path / "new", new), URI)

    for moment in seen:
        if "manifest.json" in moment:
            whole = old if moment["manifest.json"] == old["manifest.json"] else new
            assert moment.items() >= whole.items()
        if moment.get("adapter_config.json") == old["adapter_config.json"]:
            assert moment["adapter_model.safetensors"] == old["adapter_model.safetensors"]
        if moment.get("adapter_config.json") == new["adapter_config.json"]:
            assert moment["adapter_model.safetensors"] == new["adapter_model.safetensors"]
    assert len(seen) > 10


@pytest.mark.parametrize("written", range(8))
def test_a_publish_that_ends_after_any_write_is_made_good_by_the_next_one(
    hands: Hands, store: S3Server, tmp_path: Path, written: int
) -> None:
    hands.publish(write(tmp_path / "old", an_adapter("old", "only-old.json")), URI)
    source = write(tmp_path / "new", an_adapter("new"))
    store.trouble = [Trouble("PUT DELETE", "/corp", "AccessDenied", skip=written)]
    with pytest.raises(UserError):
        hands.publish(source, URI)
    store.trouble = []

    hands.publish(source, URI)

    assert there(store) == an_adapter("new")


def test_publishing_the_same_again_writes_nothing(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    source = write(tmp_path / "v1", an_adapter("v1"))
    hands.publish(source, URI)
    store.asked.clear()

    hands.publish(source, URI)

    assert writes(store) == []


def test_a_publication_that_lost_an_object_is_written_again(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    source = write(tmp_path / "v1", an_adapter("v1"))
    hands.publish(source, URI)
    store.client().delete_object(Bucket="corp", Key="models/support/adapter_model.safetensors")

    hands.publish(source, URI)

    assert there(store) == an_adapter("v1")


def test_what_no_job_published_is_never_replaced(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    store.client().put_object(Bucket="corp", Key="models/support/notes.txt", Body=b"mine")

    with pytest.raises(UserError, match="s3://corp/models/support exists and was not published by a job") as caught:
        hands.publish(write(tmp_path / "v1", an_adapter("v1")), URI)

    assert caught.value.field == "spec.output.uri"
    assert writes(store) == []


def test_neighbours_with_the_same_beginning_are_left_alone(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    store.client().put_object(Bucket="corp", Key="models/support-notes.txt", Body=b"mine")

    hands.publish(write(tmp_path / "v1", an_adapter("v1")), URI)
    hands.publish(write(tmp_path / "v2", an_adapter("v2")), URI)

    assert there(store, "models/support-") == {"notes.txt": b"mine"}


def test_a_publication_above_others_is_refused(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    source = write(tmp_path / "v1", an_adapter("v1"))
    hands.publish(source, "s3://corp/models")
    hands.publish(source, URI)

    with pytest.raises(UserError, match="holds other publications below it: support"):
        hands.publish(write(tmp_path / "v2", an_adapter("v2")), "s3://corp/models")

    assert there(store) == an_adapter("v1")


def test_a_large_file_goes_up_in_parts(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    files = {**an_adapter("v1"), "adapter_model.safetensors": b"w" * (65 << 20)}

    hands.publish(write(tmp_path / "v1", files), URI)

    assert len(there(store)["adapter_model.safetensors"]) == 65 << 20
    assert sum("partNumber=" in asked for asked in store.asked) == 2
    assert len(hands.beats) > 20, "hours of it are told from a stall"


def test_parts_of_a_failed_upload_are_taken_back(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    files = {**an_adapter("v1"), "adapter_model.safetensors": b"w" * (65 << 20)}
    store.trouble.append(Trouble("PUT", "/corp/models/support/adapter_model.safetensors", "AccessDenied"))

    with pytest.raises(UserError, match=r"is not allowed with these credentials \(adapter_model\.safetensors\)"):
        hands.publish(write(tmp_path / "v1", files), URI)

    assert "Uploads" not in store.client().list_multipart_uploads(Bucket="corp")


def test_parts_of_a_killed_upload_are_taken_back_by_the_next_one(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    client = store.client()
    client.create_multipart_upload(Bucket="corp", Key="models/support/model.safetensors")
    client.create_multipart_upload(Bucket="corp", Key="models/other/model.safetensors")

    hands.publish(write(tmp_path / "v1", an_adapter("v1")), URI)

    (left,) = client.list_multipart_uploads(Bucket="corp")["Uploads"]
    assert left["Key"] == "models/other/model.safetensors"


def test_a_store_that_loses_what_it_took_is_noticed_before_a_reader_can_begin(
    hands: Hands, store: S3Server, tmp_path: Path
) -> None:
    weights = "models/support/adapter_model.safetensors"

    def lose_it(request: str) -> None:
        if request == "GET /corp" and f"PUT /corp/{weights}" in [asked.split("?")[0] for asked in store.asked]:
            store.client().delete_object(Bucket="corp", Key=weights)

    store.before = lose_it

    with pytest.raises(Transient, match="did not keep all that was uploaded"):
        hands.publish(write(tmp_path / "v1", an_adapter("v1")), URI)

    assert "manifest.json" not in there(store)


def test_a_store_that_stays_busy_ends_as_transient(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    store.trouble.append(Trouble("PUT", "/corp", "SlowDown"))

    with pytest.raises(Transient, match=r"answered with status 503 SlowDown \(\.publishing\)"):
        hands.publish(write(tmp_path / "v1", an_adapter("v1")), URI)


def test_wrong_credentials_name_the_outputs_secret(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    store.trouble.append(Trouble("GET", "/corp", "SignatureDoesNotMatch"))

    with pytest.raises(UserError, match="does not accept the credentials") as caught:
        hands.publish(write(tmp_path / "v1", an_adapter("v1")), URI)

    assert "spec.output.secretName" in (caught.value.hint or "")


def test_an_adapter_in_the_place_of_a_whole_model_takes_its_entry_away_first(
    hands: Hands, store: S3Server, tmp_path: Path
) -> None:
    merged = {"config.json": b"{}", "a-weights.safetensors": b"w", "manifest.json": b"{}"}
    hands.publish(write(tmp_path / "merged", merged), URI, last=("config.json", "manifest.json"))
    store.asked.clear()

    hands.publish(write(tmp_path / "v1", an_adapter("v1")), URI, last=LAST)

    assert [asked for asked in writes(store) if asked.startswith("DELETE")] == [
        "DELETE manifest.json",
        "DELETE config.json",
        "DELETE a-weights.safetensors",
        "DELETE .publishing",
    ]


def test_in_a_bucket_without_a_path_uploads_of_others_go_on(hands: Hands, store: S3Server, tmp_path: Path) -> None:
    client = store.client()
    client.create_bucket(Bucket="models")
    client.create_multipart_upload(Bucket="models", Key="adapter_model.safetensors")
    client.create_multipart_upload(Bucket="models", Key="backup/of-somebody.tar")

    hands.publish(write(tmp_path / "v1", an_adapter("v1")), "s3://models")

    (left,) = client.list_multipart_uploads(Bucket="models")["Uploads"]
    assert left["Key"] == "backup/of-somebody.tar"
