"""Who calls the API server does not wait for others who call it for something else."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from finetune_operator.callers import callers
from finetune_operator.exchange import connect
from finetune_operator.kinds import FINE_TUNE_JOB, Ref
from operating import settings_for, submit
from servers.api import ApiServer


def test_made_up_tokens_delay_no_progress_no_certificate_and_no_walk(tmp_path: Path) -> None:
    async def test() -> None:
        async with ApiServer().serve() as api:
            submit(api)
            settings = settings_for(api, tmp_path, {})
            began = time.monotonic()
            async with await connect(settings.kubeconfig) as client:
                # Time stands still, so that what is spent does not come back.
                calls = callers(client, settings, leads=lambda: True, monotonic=lambda: began)
                async with asyncio.TaskGroup() as group:
                    asked = [group.create_task(calls.tokens.review_token(f"made-up-{n}", "progress")) for n in range(500)]
                    async with asyncio.timeout(120):
                        for others in (calls.progress, calls.keeping, calls.walks, calls.lease):
                            found = await others.get(Ref(FINE_TUNE_JOB, "ml", "support"))
                        await calls.progress.apply_progress(
                            "ml", "support", {"step": 7}, version=found["metadata"]["resourceVersion"]
                        )
                    assert not all(task.done() for task in asked), "most of them have had their turn, and the others wait"
                    for task in asked:
                        task.cancel()

    asyncio.run(test())
