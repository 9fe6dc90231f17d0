from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune_api.errors import Transient, UserError
from servers.hands import Hands
from servers.hub import HubServer
from servers.samples import BALLAST, MODEL, ROWS, read
from servers.web import WebServer

SHARD = "model-00001-of-00002.safetensors"


@pytest.fixture
def qwen(hub: HubServer) -> str:
    """The commit of a model with all that usually lies beside one."""
    return hub.add("acme/qwen", {**MODEL, **BALLAST})


def got(hands: Hands) -> dict[str, bytes]:
    """What a user of the model directory sees."""
    return {name: data for name, data in read(hands.folder / "model").items() if not name.startswith(".")}


def test_a_model_comes_without_pickles_code_and_doubles(hands: Hands, hub: HubServer, qwen: str) -> None:
    model = hands.model("hf://acme/qwen")

    assert got(hands) == MODEL
    assert (model.directory, model.gguf, model.revision) == (hands.folder / "model", None, qwen)
    asked = {path.rpartition("/")[2] for path in hub.paths()}
    assert not asked & {"pytorch_model.bin", "modeling_own.py", "consolidated.safetensors", "model.onnx"}


def test_code_of_a_model_comes_only_when_it_may_run(hands: Hands, qwen: str) -> None:
    hands.model("hf://acme/qwen", trust_remote_code=True)

    assert got(hands) == MODEL | {"modeling_own.py": BALLAST["modeling_own.py"]}


def test_nothing_is_left_outside_of_the_destination(
    hands: Hands, qwen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    hands.model("hf://acme/qwen")

    assert not (tmp_path / "home").exists()
    assert {path.name for path in (hands.folder / "model").iterdir() if path.is_dir()} == set()


def test_every_file_is_of_the_commit_to_which_the_branch_pointed_first(hands: Hands, hub: HubServer, qwen: str) -> None:
    def push_meanwhile(listing: dict[str, Any]) -> dict[str, Any]:
        hub.told = lambda listing: listing
        hub.add("acme/qwen", {name: data.upper() for name, data in MODEL.items()})
        return listing

    hub.told = push_meanwhile

    model = hands.model("hf://acme/qwen")

    assert model.revision == qwen
    assert got(hands) == MODEL
    assert all(qwen in path for path in hub.paths() if "/resolve/" in path)


def test_a_revision_in_the_uri_wins(hands: Hands, hub: HubServer, qwen: str) -> None:
    other = hub.add("acme/qwen", MODEL | {"config.json": b"{}"}, branch="v2")

    assert hands.model("hf://acme/qwen@v2", revision="main").revision == other
    assert hands.model("hf://acme/qwen", revision="v2").revision == other
    assert hands.model(f"hf://acme/qwen@{qwen}", revision="v2").revision == qwen


def test_a_revision_may_have_slashes(hands: Hands, hub: HubServer, qwen: str) -> None:
    pull = hub.add("acme/qwen", MODEL | {"config.json": b"{}"}, branch="refs/pr/7")
    own = hub.add("acme/qwen", MODEL | {"config.json": b"[]"}, branch="team/own")

    assert hands.model("hf://acme/qwen@refs/pr/7").revision == pull
    assert hands.model("hf://acme/qwen@team%2Fown").revision == own


def test_a_second_attempt_fetches_nothing_again(hands: Hands, hub: HubServer, qwen: str) -> None:
    hands.model("hf://acme/qwen")
    hub.asked.clear()
    hub.storage.asked.clear()

    hands.model("hf://acme/qwen")

    assert [path for path in hub.paths() if "/resolve/" in path] == []
    assert hub.storage.asked == []


def test_another_revision_replaces_what_differs_and_leaves_no_file_of_the_old_one(
    hands: Hands, hub: HubServer, qwen: str
) -> None:
    hands.model("hf://acme/qwen")
    one_file = {"config.json": MODEL["config.json"], "model.safetensors": b"all in one", "tokenizer.json": b"{}"}
    hub.add("acme/qwen", one_file)

    hands.model("hf://acme/qwen")

    assert got(hands) == one_file


def test_a_large_file_goes_on_where_the_connection_broke(hands: Hands, hub: HubServer, qwen: str) -> None:
    hub.storage.manners.cuts = 1

    hands.model("hf://acme/qwen")

    assert got(hands) == MODEL
    assert [asked.headers["range"] for asked in hub.storage.asked if "range" in asked.headers] in (
        [f"bytes={len(MODEL[SHARD]) // 2}-"],
        [f"bytes={len(MODEL[SHARD.replace('00001', '00002', 1)]) // 2}-"],
    )


@pytest.mark.parametrize(
    ("name", "says"), [(SHARD, "its SHA-256 is [0-9a-f]{12}…, not"), ("config.json", "its Git object name is another")]
)
def test_a_file_that_was_changed_on_the_way_is_not_used(hands: Hands, hub: HubServer, qwen: str, name: str, says: str) -> None:
    def then_damage_it(listing: dict[str, Any]) -> dict[str, Any]:
        (hub.folder / "models/acme/qwen" / qwen / name).write_bytes(MODEL[name].upper())
        return listing

    hub.told = then_damage_it

    with pytest.raises(Transient, match=f"hf://acme/qwen came broken: {says}"):
        hands.model("hf://acme/qwen")

    assert not (hands.folder / "model" / name).exists()


def test_a_mirror_that_lists_only_names_will_do(hands: Hands, hub: HubServer, qwen: str) -> None:
    hub.plain = True

    hands.model("hf://acme/qwen")

    assert got(hands) == MODEL


def test_the_token_goes_to_the_hub_and_not_to_its_storage(hands: Hands, hub: HubServer, qwen: str) -> None:
    hub.token = hands.environment["MODEL_HF_TOKEN"] = "right"
    hub.private.add("acme/qwen")
    hands.prefix = "MODEL_"

    hands.model("hf://acme/qwen")

    assert all(asked.headers["authorization"] == "Bearer right" for asked in hub.asked)
    assert hub.storage.asked
    assert all("authorization" not in asked.headers for asked in hub.storage.asked)


def test_a_token_saved_on_this_machine_is_not_sent_to_a_hub(
    hands: Hands, hub: HubServer, qwen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "of-somebody")

    hands.model("hf://acme/qwen")

    assert not any("authorization" in asked.headers for asked in hub.asked)


def test_a_private_repository_asks_for_a_secret(hands: Hands, hub: HubServer, qwen: str) -> None:
    hub.private.add("acme/qwen")

    with pytest.raises(UserError) as caught:
        hands.model("hf://acme/qwen")

    assert str(caught.value) == (
        "spec.model.uri: hf://acme/qwen does not exist, or is private. Name a Secret with HF_TOKEN in "
        "spec.model.secretName; in a local run set them in the environment."
    )


def test_a_wrong_token_is_said_to_be_wrong(hands: Hands, hub: HubServer, qwen: str) -> None:
    hub.token = "right"
    hands.environment["HF_TOKEN"] = "sesame"

    with pytest.raises(UserError, match="hf://acme/qwen does not accept the token") as caught:
        hands.model("hf://acme/qwen")

    assert "sesame" not in repr(caught.value)


@pytest.mark.parametrize("token", [None, "right"])
def test_a_gated_model_says_that_its_terms_must_be_accepted(hands: Hands, hub: HubServer, qwen: str, token: str | None) -> None:
    hub.gated.add("acme/qwen")
    hub.token = "right"
    hands.environment |= {"HF_TOKEN": token} if token else {}

    with pytest.raises(UserError, match="is gated") as caught:
        hands.model("hf://acme/qwen")

    assert "Accept them" in (caught.value.hint or "")
    assert ("secretName" in (caught.value.hint or "")) is (token is None)


def test_an_unknown_repository_and_an_unknown_revision_are_told_apart(hands: Hands, hub: HubServer, qwen: str) -> None:
    hub.token = hands.environment["HF_TOKEN"] = "right"

    with pytest.raises(UserError, match="hf://acme/wrong does not exist, or is private and closed to this token"):
        hands.model("hf://acme/wrong")
    with pytest.raises(UserError, match="hf://acme/qwen@wrong has no such revision"):
        hands.model("hf://acme/qwen@wrong")


def test_a_busy_hub_is_asked_again(hands: Hands, hub: HubServer, qwen: str) -> None:
    hub.manners.refusals.extend([(503, {}), (429, {"Retry-After": "3"})])

    assert hands.model("hf://acme/qwen").revision == qwen
    assert hands.slept == [1.0, 3.0]


def test_a_hub_that_stays_busy_ends_as_transient(hands: Hands, hub: HubServer, qwen: str) -> None:
    hub.manners.refusals.extend([(502, {})] * 9)

    with pytest.raises(Transient, match=r"hf://acme/qwen answered with status 502 \(4 tries\)"):
        hands.model("hf://acme/qwen")


def test_a_hub_that_does_not_answer_ends_as_transient(hands: Hands, hub: HubServer, qwen: str) -> None:
    hub.manners.hangs = True
    with pytest.raises(Transient, match=r"hf://acme/qwen cannot be reached: no answer in time \(2 tries\)"):
        hands.less_patient(timeout=0.2).model("hf://acme/qwen")

    hands.environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
    with pytest.raises(Transient, match="Connection refused"):
        hands.model("hf://acme/qwen")


def test_a_library_that_was_told_to_stay_offline_says_so(
    hands: Hands, hub: HubServer, qwen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(UserError, match="cannot be reached: HF_HUB_OFFLINE is set"):
        hands.model("hf://acme/qwen")


def test_an_endpoint_may_end_with_a_slash(hands: Hands, hub: HubServer, qwen: str) -> None:
    hands.environment["HF_ENDPOINT"] += "/"

    assert hands.model("hf://acme/qwen").revision == qwen
    assert not any("//" in path for path in hub.paths())


def test_weights_that_exist_only_as_pickles_are_refused(hands: Hands, hub: HubServer) -> None:
    hub.add("acme/old", {"config.json": b"{}", "pytorch_model.bin": b"", "training_args.bin": b""})

    with pytest.raises(UserError, match=r"only as pickles \(pytorch_model\.bin\), which can run code") as caught:
        hands.model("hf://acme/old")

    assert "safetensors" in (caught.value.hint or "")


def test_one_gguf_file_of_several_is_chosen_by_its_path(hands: Hands, hub: HubServer) -> None:
    hub.add("acme/small-GGUF", {"small-q4.gguf": b"q4", "small-q8.gguf": b"q8", "README.md": b""})
    with pytest.raises(UserError, match=r"holds 2 GGUF files: small-q4\.gguf, small-q8\.gguf"):
        hands.model("hf://acme/small-GGUF")

    model = hands.model("hf://acme/small-GGUF/small-q8.gguf")

    assert model.gguf is not None
    assert model.gguf.read_bytes() == b"q8"


def test_a_dataset_is_found_with_and_without_its_prefix(hands: Hands, hub: HubServer) -> None:
    hub.add("acme/tickets", {"rows.jsonl": ROWS, "README.md": b"", "dataset_infos.json": b"{}"}, kind="datasets")

    for uri in ("hf://datasets/acme/tickets", "hf://acme/tickets", "hf://acme/tickets@main/rows.jsonl"):
        (file,) = hands.files(uri)
        assert (file.name, file.path.read_bytes()) == ("rows.jsonl", ROWS)


def test_several_data_files_need_a_path_or_a_pattern(hands: Hands, hub: HubServer) -> None:
    names = [f"data/part-{number:02}.parquet" for number in range(12)]
    hub.add("acme/tickets", dict.fromkeys([*names, "extra/x.parquet"], b"PAR1"), kind="datasets")

    with pytest.raises(UserError) as caught:
        hands.files("hf://acme/tickets")

    assert "holds 13 data files: data/part-00.parquet, " in caught.value.message
    assert caught.value.message.endswith("data/part-09.parquet and 3 more.")
    assert "hf://acme/tickets/data/part-00.parquet" in (caught.value.hint or "")
    assert [file.name for file in hands.files("hf://acme/tickets/data")] == [name.removeprefix("data/") for name in names]
    assert [file.name for file in hands.files("hf://acme/tickets/*/*-1*.parquet")] == names[10:]
    assert len(hands.files("hf://acme/tickets/**/*.parquet")) == 13


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("hf://acme", "names no repository"),
        ("hf://acme/", "names no repository"),
        ("hf://acme/..%2fetc", "must not contain .."),
        ("hf://acme/qwen!", "that is not a valid name"),
        ("hf://datasets/acme/tickets", "is a dataset, not a model"),
    ],
)
def test_what_names_no_model_repository_is_refused(hands: Hands, hub: HubServer, uri: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        hands.model(uri)

    assert hub.asked == []


def test_a_path_that_the_repository_lacks_is_named(hands: Hands, hub: HubServer, qwen: str) -> None:
    with pytest.raises(UserError, match=f"hf://acme/qwen/sub does not exist in acme/qwen at {qwen[:12]}"):
        hands.model("hf://acme/qwen/sub")


def test_a_shard_that_the_index_names_and_the_repository_lacks_is_named(hands: Hands, hub: HubServer) -> None:
    hub.add("acme/half", {name: data for name, data in MODEL.items() if name != SHARD})

    with pytest.raises(UserError, match=f"lacks 1 of 2 files that its index names: {SHARD}"):
        hands.model("hf://acme/half")


def test_an_authority_that_is_not_trusted_is_the_users_to_mend(hands: Hands, web: WebServer) -> None:
    hands.environment["HF_ENDPOINT"] = web.url

    with pytest.raises(UserError, match="hf://acme/qwen has a certificate that is not trusted"):
        hands.model("hf://acme/qwen")


def test_an_endpoint_that_is_no_address_is_named(hands: Hands) -> None:
    hands.environment["HF_ENDPOINT"] = "hub.internal"

    with pytest.raises(UserError, match="HF_ENDPOINT is no https:// or http:// address"):
        hands.model("hf://acme/qwen")
