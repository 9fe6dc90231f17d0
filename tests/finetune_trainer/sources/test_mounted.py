from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

import pytest

from builders import a_job, a_plan
from finetune_api.contract.trainer_config import Mounts
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import UserError
from finetune_operator.brain.configure import configure
from finetune_operator.brain.stages import Stage
from finetune_trainer.prepare.models import bring_model
from servers.hands import Hands
from servers.samples import BALLAST, MODEL, ROWS, write


@pytest.fixture
def claim(hands: Hands, tmp_path: Path) -> Path:
    """The directory that stands for pvc://data."""
    directory = tmp_path / "claims/data"
    directory.mkdir(parents=True)
    hands.mounts = Mounts(claims={"data": str(directory)})
    return directory


@pytest.fixture
def config_map(hands: Hands, tmp_path: Path) -> Path:
    """A config map as the kubelet lays it out: keys are links into a directory that is swapped as a whole."""
    directory = tmp_path / "config-maps/tiny"
    write(directory / "..2026_11_30", {"rows.jsonl": ROWS, "more.jsonl": ROWS})
    (directory / "..data").symlink_to("..2026_11_30")
    for key in ("rows.jsonl", "more.jsonl"):
        (directory / key).symlink_to(f"..data/{key}")
    hands.mounts = Mounts(config_maps={"tiny": str(directory)})
    return directory


def test_a_file_is_read_where_it_is(hands: Hands, tmp_path: Path) -> None:
    rows = write(tmp_path / "own data", {"rows.jsonl": ROWS}) / "rows.jsonl"

    (file,) = hands.files(f"file://{tmp_path}/own%20data/rows.jsonl")

    assert (file.path, file.name) == (rows, "rows.jsonl")
    assert not hands.folder.exists()


def test_a_claim_is_read_where_it_is_mounted(hands: Hands, claim: Path) -> None:
    write(claim / "support", {"b.jsonl": ROWS, "a.parquet": b"", "deep/c.tsv.zst": b"", "notes.txt": b""})

    files = hands.files("pvc://data/support")

    assert [file.name for file in files] == ["a.parquet", "b.jsonl", "deep/c.tsv.zst"]
    assert files[2].path == claim / "support/deep/c.tsv.zst"
    assert hands.files("pvc://data")[0].name == "support/a.parquet"


def test_a_config_map_gives_one_key_or_all(hands: Hands, config_map: Path) -> None:
    (file,) = hands.files("configMap://tiny/rows.jsonl")

    assert file.path.read_bytes() == ROWS
    assert [file.name for file in hands.files("configMap://tiny")] == ["more.jsonl", "rows.jsonl"]


def test_a_pattern_stays_in_its_directory_unless_it_has_two_stars(hands: Hands, claim: Path) -> None:
    write(claim, {"a/1.jsonl": b"", "a/2.jsonl": b"", "a/b/3.jsonl": b"", "a/.4.jsonl": b"", "x[1].jsonl": b""})

    def names(uri: str) -> list[str]:
        return [file.name for file in hands.files(uri)]

    assert names("pvc://data/a/*.jsonl") == ["1.jsonl", "2.jsonl"]
    assert names("pvc://data/a/**") == ["1.jsonl", "2.jsonl", "b/3.jsonl"]
    assert names("pvc://data/**/[!12].jsonl") == ["a/b/3.jsonl"]
    assert names("pvc://data/x[1].jsonl") == ["x[1].jsonl"]


def test_a_model_is_linked_and_not_copied(hands: Hands, claim: Path) -> None:
    source = write(claim / "qwen", MODEL | BALLAST)

    model = hands.model("pvc://data/qwen")

    assert {path.name: path.readlink() for path in model.directory.iterdir()} == {name: source / name for name in MODEL}
    assert (model.gguf, model.revision, model.uri) == (None, None, "pvc://data/qwen")


@pytest.mark.parametrize("scheme", ["file", "pvc"])
def test_a_model_of_which_one_file_changed_in_place_is_brought_again(
    scheme: str, hands: Hands, claim: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(claim / "model", MODEL)
    job = a_job(model={"uri": f"file://{claim}/model" if scheme == "file" else "pvc://data/model"})
    workspace = Workspace(tmp_path / "workspace")
    config = configure(job, a_plan(job), Stage.PREPARE, 1, workspace=str(workspace.root), mounts=hands.mounts)
    caplog.set_level(logging.INFO)

    def is_brought() -> bool:
        caplog.clear()
        bring_model(config, workspace, {})
        return "fetching a model" in caplog.text

    assert [is_brought(), is_brought()] == [True, False]
    settings = claim / "model/config.json"
    settings.write_bytes(settings.read_bytes() + b"\n")  # the directory itself stays as it was
    assert [is_brought(), is_brought()] == [True, False]


def test_a_model_that_takes_the_place_of_another_leaves_nothing_of_it(hands: Hands, claim: Path) -> None:
    write(claim / "large", MODEL)
    one_file = {"config.json": b"{}", "model.safetensors": b"all in one"}
    write(claim / "small", one_file)
    hands.model("pvc://data/large")

    model = hands.model("pvc://data/small")

    assert sorted(path.name for path in model.directory.iterdir()) == sorted(one_file)
    assert (claim / "large/tokenizer.json").exists()


@pytest.mark.parametrize("uri", ["pvc://data/one.gguf", "pvc://data", "pvc://data/"])
def test_one_gguf_file_is_a_model_named_or_alone_in_its_directory(hands: Hands, claim: Path, uri: str) -> None:
    write(claim, {"one.gguf": b"GGUF", "README.md": b""})

    model = hands.model(uri)

    assert model.gguf == model.directory / "one.gguf"
    assert [path.name for path in model.directory.iterdir()] == ["one.gguf"]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"weights.safetensors": b""}, "has no config.json, so it is no model directory"),
        ({"a.gguf": b"", "b.gguf": b""}, "holds 2 GGUF files: a.gguf, b.gguf"),
        ({"config.json": b"{}"}, "has a config.json but no weights (*.safetensors)"),
        ({"config.json": b"{}", "pytorch_model.bin": b""}, "has its weights only as pickles (pytorch_model.bin)"),
        ({"adapter_config.json": b"{}", "adapter_model.safetensors": b""}, "is an adapter, not a model"),
        ({"config.json": b"{}", "a.safetensors": b"", "model.safetensors.index.json": b"["}, "has a broken"),
        ({}, "has no config.json"),
    ],
)
def test_a_directory_that_is_no_model_says_why(hands: Hands, claim: Path, files: dict[str, bytes], says: str) -> None:
    write(claim / "m", files)

    with pytest.raises(UserError) as caught:
        hands.model("pvc://data/m")

    assert caught.value.message.startswith(f"pvc://data/m {says}")
    assert caught.value.field == "spec.model.uri"


def test_the_hint_for_a_missing_config_says_what_a_model_directory_holds(hands: Hands, claim: Path) -> None:
    with pytest.raises(UserError) as caught:
        hands.model("pvc://data")

    assert caught.value.hint is not None
    assert all(word in caught.value.hint for word in ("config.json", ".safetensors", "tokenizer", ".gguf"))


@pytest.mark.parametrize(
    ("uri", "says", "hint"),
    [
        ("pvc://other/x.jsonl", 'means the claim "other", for which no directory is known here', "--claim other=DIR"),
        ("configMap://cm/k", 'means the config map "cm", for which no directory is known here', "--config-map cm=DIR"),
        ("pvc:///x.jsonl", "names no claim", "pvc://NAME/path"),
        ("file://relative/x.jsonl", "is not absolute", "file:///directory/file"),
        ("file:///nowhere/x.jsonl", "does not exist", ""),
        ("pvc://data/x/*.jsonl", "does not exist", ""),
        ("pvc://data/*.jsonl", "matches no file", "**"),
        ("pvc://data", "holds no data files", ".jsonl"),
        ("pvc://data/[z-a]", "is no pattern", ""),
        ("pvc://data/../x", "must not contain ..", ""),
        ("pvc://data/%2e%2e/x", "must not contain ..", ""),
        ("pvc://data/x?secret=1", "must not have a query", "%3F"),
    ],
)
def test_what_cannot_be_found_is_named_with_the_field_and_a_remedy(
    hands: Hands, claim: Path, uri: str, says: str, hint: str
) -> None:
    write(claim, {"README.md": b"", "notes.log": b"", ".hidden.jsonl": b""})

    with pytest.raises(UserError) as caught:
        hands.files(uri)

    assert caught.value.message.startswith(uri.partition("?")[0])
    assert says in caught.value.message
    assert hint in (caught.value.hint or "")
    assert caught.value.field == "spec.datasets[0].uri"


@pytest.mark.parametrize("uri", ["pvc://data/out.jsonl", "pvc://data/dir", "pvc://data/d*/x.jsonl", "pvc://data//etc/hostname"])
def test_nothing_outside_of_a_claim_is_read_through_a_link_in_it(hands: Hands, claim: Path, tmp_path: Path, uri: str) -> None:
    outside = write(tmp_path / "outside", {"x.jsonl": b"private"})
    (claim / "out.jsonl").symlink_to(outside / "x.jsonl")
    (claim / "dir").symlink_to(outside)

    with pytest.raises(UserError):
        hands.files(uri)


def test_a_config_map_is_no_model(hands: Hands, config_map: Path) -> None:
    with pytest.raises(UserError, match="a model comes from hf, s3, pvc, https, file"):
        hands.model("configMap://tiny/model")


def test_a_model_in_the_place_where_models_are_put_is_not_deleted(hands: Hands) -> None:
    source = write(hands.folder / "model", MODEL)

    with pytest.raises(UserError, match="lies in the workspace's own model directory"):
        hands.model(f"file://{source}")

    assert (source / "tokenizer.json").exists()


def test_pipes_sockets_and_devices_are_no_data_and_are_not_opened(hands: Hands, claim: Path) -> None:
    """Whoever opens a pipe into which nobody writes waits for ever."""
    write(claim / "mixed", {"a.jsonl": ROWS})
    os.mkfifo(claim / "mixed/pipe.jsonl")
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(claim / "mixed/socket.jsonl"))
    (claim / "mixed/directory.jsonl").mkdir()
    assert [file.name for file in hands.files("pvc://data/mixed")] == ["a.jsonl"]


def test_a_link_that_leads_nowhere_is_told_and_not_passed_over(hands: Hands, claim: Path) -> None:
    write(claim / "mixed", {"a.jsonl": ROWS})
    (claim / "mixed/gone.jsonl").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"holds a link that leads nowhere: mixed/gone\.jsonl"):
        hands.files("pvc://data/mixed")


def test_a_file_may_be_called_anything_and_its_name_is_shown_without_escapes(hands: Hands, claim: Path) -> None:
    write(claim / "odd", {"a\nb.jsonl": ROWS, "\x1b[31mred.jsonl": ROWS, "größe.jsonl": ROWS})
    Path(os.fsdecode(os.fsencode(claim / "odd") + b"/\xff.jsonl")).write_bytes(ROWS)
    names = [file.name for file in hands.files("pvc://data/odd")]
    assert names == ["\\x1b[31mred.jsonl", "a\\nb.jsonl", "größe.jsonl", "\\udcff.jsonl"]
