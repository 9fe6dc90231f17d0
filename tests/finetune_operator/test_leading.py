"""What ends a leader: a lost lease, a refused login, a watch that is gone, a namespace that can be served after all."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from finetune_api.errors import ClusterError
from finetune_operator import leading, served
from finetune_operator.leading import Stopped
from finetune_operator.lease import LeaseLost
from operating import JOBS, LEASES, WATCHED, scraped, submit, the, until, until_calm, with_an_operator
from ports import a_free_port
from servers.api import Answer, ApiServer


def test_a_leader_that_lost_the_lease_ends(tmp_path: Path) -> None:
    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        lease = await until(lambda: the(api, LEASES, "finetune-operator", "system"), running)
        api.put(LEASES, {**lease, "spec": {**lease["spec"], "holderIdentity": "another"}})
        await asyncio.wait({running}, timeout=120)
        assert running.done()

    errors = with_an_operator(tmp_path, story)
    assert [type(error) for error in errors] == [LeaseLost]


def test_a_token_that_was_renewed_is_sent_before_the_old_one_is_refused(tmp_path: Path) -> None:
    """The kubelet renews it every hour; kopf alone would notice when it is refused."""

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await until(lambda: all(api.counts[f"watch {what}"] for what in WATCHED), running)
        kubeconfig = tmp_path / "kubeconfig"
        renewed = tmp_path / "renewed"
        renewed.write_text(kubeconfig.read_text().replace("token: secret", "token: renewed"))
        renewed.replace(kubeconfig)  # as a kubelet does it: nobody reads half a file
        begun = len(api.requests)
        api.expire_watches()
        await until(lambda: all(api.counts[f"watch {what}"] > 1 for what in WATCHED), running)
        sent = {headers.get("Authorization") for _, url, headers, _ in api.requests[begun:] if "leases" not in url}
        assert sent == {"Bearer renewed"}

    (error,) = with_an_operator(tmp_path, story)
    assert isinstance(error, Stopped)


@pytest.mark.parametrize("_", range(3))
def test_a_login_that_is_refused_ends_the_operator(tmp_path: Path, _: int) -> None:
    """More than once: whether kopf ends by itself then depends on what its watchers are doing."""

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await until(lambda: all(api.counts[f"watch {what}"] for what in WATCHED), running)
        api.instead.append(Answer(401, 9, "GET", "finetunejobs?"))
        api.expire_watches()
        await asyncio.wait({running}, timeout=120)
        assert running.done()

    (error,) = with_an_operator(tmp_path, story)
    assert isinstance(error, ClusterError)
    assert error.status == 401


def test_a_leader_that_has_lost_a_watch_for_good_ends(tmp_path: Path) -> None:
    """Whatever kopf does meanwhile: here it would wait for ever for a server that is busy."""

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        await until(lambda: all(api.counts[f"watch {what}"] for what in WATCHED), running)
        patched.setattr(leading, "BLIND_SECONDS", 8.0)  # only now: until all watches are there a busy machine takes its time
        await asyncio.sleep(12)
        assert not running.done(), "whoever has all watches lives on"
        api.instead.append(Answer(429, 9999, "GET", "/pods?"))
        api.expire_watches()
        await asyncio.wait({running}, timeout=120)
        assert running.done()

    with pytest.MonkeyPatch.context() as patched:
        (error,) = with_an_operator(tmp_path, story)
    assert isinstance(error, ClusterError)
    assert "a watch was missing" in error.message


def test_an_api_server_that_is_away_for_a_moment_when_namespaces_are_asked_for_ends_nothing(tmp_path: Path) -> None:
    def before(api: ApiServer) -> None:
        api.instead.append(Answer(503, 1, "GET", "/namespaces/ml/finetunejobs?limit=1"))

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        await until(lambda: the(api, JOBS, "support-prepare-1"), running)

    (error,) = with_an_operator(tmp_path, story, before=before, FINETUNE_WATCH_NAMESPACES='["ml"]')
    assert isinstance(error, Stopped)


def test_a_namespace_that_is_gone_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    """A team has deleted its namespace, and the operator's Role in it; then it comes back."""
    port, begun = a_free_port(), time.monotonic()

    def before(api: ApiServer) -> None:
        api.instead.append(Answer(403, 999, "GET", "/namespaces/gone/"))

    async def story(api: ApiServer, running: asyncio.Task[None]) -> None:
        submit(api)
        await until(lambda: the(api, JOBS, "support-prepare-1"), running)
        await until_calm(api)
        looks = 1 + int(time.monotonic() - begun) // 10  # at the start, and every ten seconds after that
        assert 1 <= len([url for _, url, _, _ in api.requests if "/namespaces/gone/" in url]) <= looks
        assert "finetune_operator_namespaces_left_out 1.0" in await asyncio.to_thread(scraped, port)
        api.instead.clear()
        await asyncio.wait({running}, timeout=120)
        assert running.done()

    own = {"FINETUNE_WATCH_NAMESPACES": '["gone", "ml"]', "FINETUNE_PROBE_PORT": str(port)}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(served, "AGAIN_SECONDS", 10.0)
        (error,) = with_an_operator(tmp_path, story, before=before, **own)
    assert isinstance(error, served.NamespaceFound)
