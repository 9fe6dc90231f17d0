from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from finetune_api.errors import UserError
from finetune_trainer.sources.disk import writing
from servers.hands import Hands
from servers.samples import ROWS, an_adapter, write
from servers.web import WebServer


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root and the right to mount")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_workspace_that_is_too_small_names_the_field_that_makes_it_larger(
    hands: Hands, web: WebServer, small_disk: Path
) -> None:
    web.files["/rows.jsonl"] = ROWS
    hands.folder = small_disk

    with pytest.raises(UserError, match="No space is left in") as caught:
        hands.files(f"{web.url}/rows.jsonl")

    assert caught.value.field == "spec.workspace.size"
    assert "the disk holds 0.0 GiB, 0 bytes are free" in caught.value.message


def test_a_publish_onto_a_full_disk_names_the_output_and_frees_what_it_took(
    hands: Hands, small_disk: Path, tmp_path: Path
) -> None:
    files = an_adapter("v1") | {"adapter_model.safetensors": b"w" * 100_000}

    with pytest.raises(UserError, match="No space is left in") as caught:
        hands.publish(write(tmp_path / "v1", files), f"file://{small_disk}/support")

    assert caught.value.field == "spec.output.uri"
    assert list(small_disk.iterdir()) == []


def test_a_read_only_volume_is_said_to_be_one(hands: Hands, small_disk: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    with pytest.raises(UserError, match=r"cannot be written by user \d+: Read-only file system") as caught:
        hands.publish(write(tmp_path / "v1", an_adapter("v1")), f"file://{small_disk}/support")

    assert caught.value.field == "spec.output.uri"


@pytest.fixture
def data() -> Iterator[Path]:
    """A directory that everybody can reach, while this process is nobody."""
    with TemporaryDirectory(prefix="everybodys-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)
        if os.getuid() == 0:
            os.seteuid(0)


def become_nobody() -> None:
    """Root may read everything, so give that up; anybody else is nobody enough."""
    if os.getuid() == 0:
        os.seteuid(65534)


def test_a_file_that_may_not_be_read_is_named(hands: Hands, data: Path) -> None:
    write(data, {"rows.jsonl": ROWS})
    (data / "rows.jsonl").chmod(0)
    become_nobody()

    with pytest.raises(UserError, match=r"may not be read by user \d+: .*rows\.jsonl"):
        hands.files(f"file://{data}/rows.jsonl")


def test_a_directory_that_may_not_be_listed_is_named(hands: Hands, data: Path) -> None:
    write(data / "closed", {"rows.jsonl": ROWS})
    (data / "closed").chmod(0)
    become_nobody()

    with pytest.raises(UserError, match="cannot be listed: Permission denied"):
        hands.files(f"file://{data}/closed")
    with pytest.raises(UserError, match="may not be read by user"):
        hands.files(f"file://{data}/closed/rows.jsonl")


def test_a_workspace_that_may_not_be_written_names_the_workspace(hands: Hands, web: WebServer, data: Path) -> None:
    web.files["/rows.jsonl"] = ROWS
    hands.folder = data
    become_nobody()

    with pytest.raises(UserError, match=r"raw cannot be written by user \d+: Permission denied") as caught:
        hands.files(f"{web.url}/rows.jsonl")

    assert caught.value.field == "spec.workspace"


def test_an_error_of_the_disk_that_nobody_can_mend_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output error"), writing(tmp_path, field="x", size_field="x", enlarge="y"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
