from __future__ import annotations

from pathlib import Path

import pytest

from finetune_api.errors import Transient, UserError
from servers.hands import Hands
from servers.hub import HubServer
from servers.samples import an_adapter, write

# The library hands its files to the HTTP client in a way that the client calls old.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

URI = "hf://acme/support-adapter"
REPO = "acme/support-adapter"


@pytest.fixture(autouse=True)
def _token(hands: Hands, hub: HubServer) -> None:
    hub.token = hands.environment["OUTPUT_HF_TOKEN"] = "write-token"
    hands.prefix = "OUTPUT_"


def published(hub: HubServer, branch: str = "main") -> dict[str, bytes]:
    """What a branch holds, but for the hub's own file."""
    return {name: data for name, data in hub.files(REPO, branch=branch).items() if name != ".gitattributes"}


def test_a_new_repository_is_private_and_gets_all_files_in_one_commit(hands: Hands, hub: HubServer, tmp_path: Path) -> None:
    files = an_adapter("v1", "README.md", "reports/data.json")

    hands.publish(write(tmp_path / "v1", files), URI)

    assert published(hub) == files
    assert REPO in hub.private
    assert len(hub.commits) == 1
    assert hub.commits[0][1:] == [
        "file README.md",
        "lfsFile adapter_model.safetensors",
        "file reports/data.json",
        "file adapter_config.json",
        "file manifest.json",
    ]


def test_a_large_file_shows_that_it_goes_on(hands: Hands, hub: HubServer, tmp_path: Path) -> None:
    files = {**an_adapter("v1"), "adapter_model.safetensors": b"w" * (9 << 20)}

    hands.publish(write(tmp_path / "v1", files), URI)

    assert published(hub) == files
    assert len(hands.beats) > 20, "both while it is hashed and while it is sent"


def test_a_newer_publication_replaces_the_older_one_in_one_commit(hands: Hands, hub: HubServer, tmp_path: Path) -> None:
    hands.publish(write(tmp_path / "v1", an_adapter("v1", "only-in-v1.json")), URI)
    hub.commits.clear()

    hands.publish(write(tmp_path / "v2", an_adapter("v2")), URI)

    assert published(hub) == an_adapter("v2")
    assert ".gitattributes" in hub.files(REPO)
    assert len(hub.commits) == 1
    assert "deletedFile only-in-v1.json" in hub.commits[0]


def test_a_branch_in_the_uri_is_made_and_written(hands: Hands, hub: HubServer, tmp_path: Path) -> None:
    hands.publish(write(tmp_path / "v1", an_adapter("v1")), URI)

    hands.publish(write(tmp_path / "v2", an_adapter("v2")), f"{URI}@candidate")

    assert published(hub, "candidate") == an_adapter("v2")
    assert published(hub) == an_adapter("v1")


def test_a_model_that_no_job_published_is_never_replaced(hands: Hands, hub: HubServer, tmp_path: Path) -> None:
    hub.add(REPO, {"config.json": b"{}", "model.safetensors": b"somebody's work"})

    with pytest.raises(UserError, match=f"{URI} exists and was not published by a job"):
        hands.publish(write(tmp_path / "v1", an_adapter("v1")), URI)

    assert hub.commits == []


def test_a_repository_that_somebody_just_made_on_the_page_is_used(hands: Hands, hub: HubServer, tmp_path: Path) -> None:
    hub.add(REPO, {".gitattributes": b"", "README.md": b"empty"})

    hands.publish(write(tmp_path / "v1", an_adapter("v1")), URI)

    assert published(hub) == an_adapter("v1")


def test_a_commit_of_somebody_else_in_between_is_not_overwritten_unseen(hands: Hands, hub: HubServer, tmp_path: Path) -> None:
    hands.publish(write(tmp_path / "v1", an_adapter("v1")), URI)
    told: list[int] = []

    def push_meanwhile(listing: dict[str, object]) -> dict[str, object]:
        if not told:
            told.append(1)
            hub.add(REPO, {**an_adapter("v1"), "added-by-hand.json": b"{}"})
        return listing

    hub.told = push_meanwhile

    hands.publish(write(tmp_path / "v2", an_adapter("v2")), URI)

    assert published(hub) == an_adapter("v2")
    assert "deletedFile added-by-hand.json" in hub.commits[-1]
    assert hands.slept == [1.0]


def test_a_token_that_may_only_read_is_refused_with_the_outputs_secret(hands: Hands, hub: HubServer, tmp_path: Path) -> None:
    hub.readonly = True

    with pytest.raises(UserError, match=f"{URI} is not allowed with this token") as caught:
        hands.publish(write(tmp_path / "v1", an_adapter("v1")), URI)

    assert "HF_TOKEN in spec.output.secretName" in (caught.value.hint or "")
    assert "write-token" not in repr(caught.value)


def test_a_busy_hub_is_asked_again_and_then_left_to_the_next_attempt(hands: Hands, hub: HubServer, tmp_path: Path) -> None:
    source = write(tmp_path / "v1", an_adapter("v1"))
    hub.manners.refusals.append((503, {}))
    hands.publish(source, URI)
    assert published(hub) == an_adapter("v1")

    hub.manners.refusals.extend([(503, {})] * 9)
    with pytest.raises(Transient, match=r"answered with status 503 \(4 tries\)"):
        hands.publish(source, URI)


def test_a_hub_that_never_answers_is_given_up(hands: Hands, hub: HubServer, tmp_path: Path) -> None:
    hub.manners.hangs = True

    with pytest.raises(Transient, match=r"cannot be reached: no answer in time \(2 tries\)"):
        hands.less_patient(timeout=0.02).publish(write(tmp_path / "v1", an_adapter("v1")), URI)


def test_the_token_does_not_go_to_the_storage_of_large_files(hands: Hands, hub: HubServer, tmp_path: Path) -> None:
    hands.publish(write(tmp_path / "v1", an_adapter("v1")), URI)

    (upload,) = hub.storage.asked
    assert upload.method == "PUT"
    assert "authorization" not in upload.headers


def test_a_path_in_a_repository_is_no_target(hands: Hands, hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names a path in a repository"):
        hands.publish(write(tmp_path / "v1", an_adapter("v1")), f"{URI}/sub")

    assert hub.asked == []
