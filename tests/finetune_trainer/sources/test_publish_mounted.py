from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from finetune_api.contract.trainer_config import Mounts
from finetune_api.errors import UserError
from finetune_trainer.sources.exchange import replace_in_two_steps, swap
from servers.hands import Hands
from servers.samples import an_adapter, read, write


@pytest.fixture
def claim(hands: Hands, tmp_path: Path) -> Path:
    directory = tmp_path / "claim"
    directory.mkdir()
    hands.mounts = Mounts(claims={"models": str(directory)})
    return directory


def is_whole(directory: Path) -> bool:
    """Whether every file has the digest that the manifest tells."""
    digests = json.loads((directory / "manifest.json").read_bytes())
    return all(hashlib.sha256((directory / name).read_bytes()).hexdigest() == digest for name, digest in digests.items())


def test_a_publication_stands_at_the_target_and_nothing_beside_it(hands: Hands, claim: Path, tmp_path: Path) -> None:
    files = an_adapter("v1", "reports/data.json", ".gitattributes")
    source = write(tmp_path / "publication", files)

    hands.publish(source, "pvc://models/team/support")

    assert read(claim / "team/support") == files
    assert [path.name for path in (claim / "team").iterdir()] == ["support"]
    assert stat.S_IMODE((claim / "team/support").stat().st_mode) == 0o755


def test_a_large_file_shows_that_it_goes_on(hands: Hands, claim: Path, tmp_path: Path) -> None:
    files = {**an_adapter("v1"), "adapter_model.safetensors": b"w" * (17 << 20)}

    hands.publish(write(tmp_path / "v1", files), "pvc://models/support")

    assert read(claim / "support") == files
    assert len(hands.beats) > len(files) + 4


def test_links_are_published_as_what_they_lead_to(hands: Hands, tmp_path: Path) -> None:
    weights = write(tmp_path / "merged", {"model.safetensors": b"weights"}) / "model.safetensors"
    source = write(tmp_path / "publication", {"manifest.json": b"{}"})
    (source / "model.safetensors").symlink_to(weights)

    hands.publish(source, f"file://{tmp_path}/out", last=("manifest.json",))

    assert not (tmp_path / "out/model.safetensors").is_symlink()
    assert (tmp_path / "out/model.safetensors").read_bytes() == b"weights"


def test_publishing_the_same_again_changes_nothing(hands: Hands, claim: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "publication", an_adapter("v1"))
    hands.publish(source, "pvc://models/support")
    before = (claim / "support").stat()

    hands.publish(source, "pvc://models/support")

    after = (claim / "support").stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_a_newer_publication_takes_the_place_of_the_older_one(hands: Hands, claim: Path, tmp_path: Path) -> None:
    hands.publish(write(tmp_path / "v1", an_adapter("v1", "only-in-v1.txt")), "pvc://models/support")

    hands.publish(write(tmp_path / "v2", an_adapter("v2")), "pvc://models/support")

    assert read(claim / "support") == an_adapter("v2")
    assert [path.name for path in claim.iterdir()] == ["support"]


def test_a_reader_finds_a_publication_at_every_moment(hands: Hands, claim: Path, tmp_path: Path) -> None:
    sources = [write(tmp_path / version, an_adapter(version)) for version in ("v1", "v2")]
    hands.publish(sources[0], "pvc://models/support")
    missing, looks, done = [], [0], threading.Event()

    def look() -> None:
        while not done.is_set():
            looks[0] += 1
            if not (claim / "support/manifest.json").exists():
                missing.append(looks[0])

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(60):
        hands.publish(sources[(number + 1) % 2], "pvc://models/support")
    done.set()
    reader.join()

    assert looks[0] > 100
    assert missing == []


def test_a_publish_that_is_killed_leaves_the_old_or_the_new_and_the_next_one_tidies_up(
    hands: Hands, claim: Path, tmp_path: Path
) -> None:
    old = write(tmp_path / "old", an_adapter("old", *(f"part-{number}" for number in range(40))))
    new = write(tmp_path / "new", an_adapter("new", *(f"part-{number}" for number in range(40))))
    hands.publish(old, "pvc://models/support")
    leftovers = 0
    for milliseconds in range(15):
        child = os.fork()
        if child == 0:
            try:
                hands.publish(new, "pvc://models/support")
            finally:
                os._exit(0)
        while not list(claim.glob(".support.publishing-*")) and os.waitpid(child, os.WNOHANG) == (0, 0):
            pass
        time.sleep(milliseconds / 1000)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert is_whole(claim / "support")
        leftovers += len(list(claim.glob(".support.publishing-*")))
        hands.publish(old, "pvc://models/support")
        assert [path.name for path in claim.iterdir()] == ["support"]
    assert leftovers > 0


@pytest.mark.parametrize("files", [{"notes.txt": b"mine"}, {"config.json": b"{}", "model.safetensors": b"mine"}])
def test_what_no_job_published_is_never_replaced(hands: Hands, claim: Path, tmp_path: Path, files: dict[str, bytes]) -> None:
    write(claim / "support", files)

    with pytest.raises(UserError) as caught:
        hands.publish(write(tmp_path / "v1", an_adapter("v1")), "pvc://models/support")

    assert "pvc://models/support exists and was not published by a job" in caught.value.message
    assert caught.value.hint == "Choose another path."
    assert caught.value.field == "spec.output.uri"
    assert read(claim / "support") == files


def test_a_file_at_the_target_is_not_replaced(hands: Hands, claim: Path, tmp_path: Path) -> None:
    write(claim, {"support": b"a file"})

    with pytest.raises(UserError, match="it is a file"):
        hands.publish(write(tmp_path / "v1", an_adapter("v1")), "pvc://models/support")


def test_a_publication_above_others_is_refused(hands: Hands, claim: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "v1", an_adapter("v1"))
    hands.publish(source, "pvc://models/team")
    hands.publish(source, "pvc://models/team/support")

    with pytest.raises(UserError, match="holds other publications below it: support"):
        hands.publish(write(tmp_path / "v2", an_adapter("v2")), "pvc://models/team")


def test_an_empty_directory_at_the_target_is_used(hands: Hands, claim: Path, tmp_path: Path) -> None:
    (claim / "support").mkdir()

    hands.publish(write(tmp_path / "v1", an_adapter("v1")), "pvc://models/support")

    assert is_whole(claim / "support")


@pytest.mark.parametrize("uri", ["pvc://models", "pvc://models/", "file:///"])
def test_a_whole_volume_is_no_target(hands: Hands, claim: Path, tmp_path: Path, uri: str) -> None:
    with pytest.raises(UserError, match="is a whole volume"):
        hands.publish(write(tmp_path / "v1", an_adapter("v1")), uri)


def test_a_name_with_wildcards_does_not_tidy_up_its_neighbours(hands: Hands, claim: Path, tmp_path: Path) -> None:
    neighbour = write(claim / ".xa.publishing-1", {"a": b""})

    hands.publish(write(tmp_path / "v1", an_adapter("v1")), "pvc://models/x*")

    assert neighbour.exists()
    assert is_whole(claim / "x*")


def test_where_names_cannot_be_swapped_two_renames_do(tmp_path: Path) -> None:
    new, target = write(tmp_path / "new", {"a": b"new"}), write(tmp_path / "target", {"a": b"old"})

    old = replace_in_two_steps(new, target)

    assert (read(target), read(old)) == ({"a": b"new"}, {"a": b"old"})


def test_a_second_rename_that_fails_leaves_the_old_publication(tmp_path: Path) -> None:
    target = write(tmp_path / "target", {"a": b"old"})

    with pytest.raises(FileNotFoundError):
        replace_in_two_steps(tmp_path / "gone", target)

    assert read(target) == {"a": b"old"}


def test_a_file_system_that_cannot_swap_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        swap(tmp_path / "missing", tmp_path / "also missing")
    if Path("/proc").is_mount():
        assert swap(Path("/proc/self"), Path("/proc/version")) is False


@pytest.mark.parametrize("uri", ["https://host/x", "configMap://cm/x", "gs://bucket/x"])
def test_schemes_that_cannot_be_written_are_refused(hands: Hands, tmp_path: Path, uri: str) -> None:
    with pytest.raises(UserError, match="an output goes to pvc, s3, hf or file"):
        hands.publish(write(tmp_path / "v1", an_adapter("v1")), uri)


def test_a_caller_that_names_no_manifest_is_wrong(hands: Hands, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be written last"):
        hands.publish(write(tmp_path / "v1", {"a": b""}), f"file://{tmp_path}/out")
