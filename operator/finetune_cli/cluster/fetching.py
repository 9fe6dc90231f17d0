"""The reports of a job, from the volume that its stages shared.

They hold texts of examples, so they must not pass through a log; and nobody but a pod can read a claim. So a pod is made that
sees the workspace read-only, asked over a connection of its own, and removed, whatever happens in between: on an error and
on Ctrl-C by us, after five minutes by its own deadline, with the job by its owner.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from finetune_api import meta
from finetune_api.errors import ClusterError, NotFound, UserError
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_cli.cluster.api import Api
from finetune_cli.cluster.reader import READER_LABEL, packing, reader
from finetune_cli.cluster.remote_command import output_of
from finetune_cli.reports import MOST_BYTES, unpacked
from finetune_operator.brain.stages import Stage
from finetune_operator.kinds import CHILD_JOB, CLAIM, EVENT, POD, Manifest
from finetune_operator.observe.objects import Pod, owner_of
from finetune_operator.observe.start import why_not_running
from finetune_operator.render.claim import used_claim
from finetune_operator.render.pod import CONTAINER

START_SECONDS = 120.0
"""How long the pod may take to start: its image is on the job's nodes already, a volume has to be attached."""
_LOOK_SECONDS = 0.5
_NEEDED = (
    ("get", CLAIM, ""),
    ("list", CHILD_JOB, ""),
    ("create", POD, ""),
    # A WebSocket begins with GET; since 1.35 the server asks for the right to create too (KEP-4006).
    ("get", POD, "exec"),
    ("create", POD, "exec"),
    ("get", POD, ""),
    ("list", POD, ""),
    ("delete", POD, ""),
)


async def fetch(api: Api, job: FineTuneJob, *, image: str | None = None) -> dict[str, bytes]:
    """Every report that the job has written so far.

    Args:
        image: for the pod, where no child Job is left that names one.
    Raises: UserError that says what stands in the way.
    """
    namespace = api.namespace
    await _require_rights(api)
    await _require_claim(api, job)
    template = await _template(api, job)
    if not template and image is None:
        raise UserError(
            f"no child Job of {job.name} is left that names an image for reading its workspace",
            hint="Name one that has Python, such as the trainer's, with --image.",
        )
    await _remove_old(api, job)
    wish = reader(job, template, image=image, beside=await _user_of(api, job))
    try:
        made = await api.create(POD, wish)
    except ClusterError as error:
        if error.status not in (403, 422):
            raise
        said = error.message.partition("is forbidden: ")[2] or error.message
        raise UserError(f"namespace {namespace} takes no pod that could read the workspace: {said}") from None
    pod = Pod(made)
    try:
        await _until_running(api, pod)
        return unpacked(await output_of(api, namespace, pod.name, CONTAINER, packing(job), limit=MOST_BYTES))
    finally:
        # Also when somebody has stopped us: a task that is cancelled may still do this one thing.
        await asyncio.shield(_remove(api, pod))


async def _require_claim(api: Api, job: FineTuneJob) -> None:
    claim = used_claim(job)
    found = await api.find(CLAIM, claim, api.namespace)
    if found is None or found["metadata"].get("deletionTimestamp"):
        state = "is gone" if found is None else "is being deleted"
        published = f" What was published lies at {job.status.output.uri}." if job.status.output else ""
        if job.status.start_time is None:
            raise UserError(f"{job.name} has not begun: its workspace does not exist yet")
        raise UserError(f"the claim {claim} with the workspace of {job.name} {state}, and the reports with it.{published}")


async def _require_rights(api: Api) -> None:
    allowed = await asyncio.gather(*(api.may(verb, kind, api.namespace, part) for verb, kind, part in _NEEDED))
    missing = [
        f"{verb} {kind.plural}{f'/{part}' if part else ''}"
        for (verb, kind, part), may in zip(_NEEDED, allowed, strict=True)
        if not may
    ]
    if missing:
        raise UserError(
            f"reading the workspace takes a pod, and you may not {', '.join(missing)} in namespace {api.namespace}",
            hint="The scores need none of that: finetune report without --to, or finetune status.",
        )


async def _template(api: Api, job: FineTuneJob) -> Manifest:
    """Of the pods of a stage that ran in our trainer's image; empty if no child Job is left."""
    children = await api.find_all(CHILD_JOB, api.namespace, labels={meta.JOB_LABEL: job.name})
    own = [child for child in children if owner_of(child).get("uid") == job.metadata.uid]
    if job.spec.command is not None:  # a program of the user's may stand in an image without Python
        own = [child for child in own if child["metadata"]["labels"].get(meta.STAGE_LABEL) != Stage.TRAIN]
    newest = max(own, key=lambda child: str(child["metadata"].get("creationTimestamp")), default={})
    template: Manifest = (newest.get("spec") or {}).get("template") or {}
    return template


async def _user_of(api: Api, job: FineTuneJob) -> Pod | None:
    """A pod of the job that runs now."""
    if job.status.phase is not None and job.status.phase.terminal:
        return None
    pods = [Pod(raw) for raw in await api.find_all(POD, api.namespace, labels={meta.JOB_LABEL: job.name})]
    return next((pod for pod in pods if pod.has_started and not pod.has_ended), None)


async def _remove_old(api: Api, job: FineTuneJob) -> None:
    """What a reader left that was killed before it could clean up."""
    for raw in await api.find_all(POD, api.namespace, labels={READER_LABEL: job.name}):
        if Pod(raw).has_ended:
            await _remove(api, Pod(raw))


async def _until_running(api: Api, pod: Pod) -> None:
    """Raises: UserError with the pod's own reason, if it does not start in time or cannot."""
    why = "it is not placed yet"
    try:
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    now = Pod(await api.get(POD, pod.name, api.namespace))
                except NotFound:
                    raise UserError(f"the pod {pod.name} that reads the workspace was deleted") from None
                if now.has_ended:
                    raise UserError(f"the pod {pod.name} that reads the workspace ended: {_words_of_end(now)}")
                if now.has_started:
                    return
                events = await api.find_all(EVENT, api.namespace, fields=f"involvedObject.uid={pod.uid}")
                wait = why_not_running({"metadata": {}, "spec": {"parallelism": 1}}, [now], events)
                if wait is not None:
                    why = wait.why
                    if wait.hopeless:
                        break
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        pass
    raise UserError(f"the pod that reads the workspace does not start: {why}")


def _words_of_end(pod: Pod) -> str:
    end = pod.terminated or {}
    return str(pod.status.get("message") or end.get("message") or f"exit code {end.get('exitCode')}")


async def _remove(api: Api, pod: Pod) -> None:
    with suppress(ClusterError):  # its own deadline ends it
        await api.delete(POD, api.namespace, pod.name, uid=pod.uid)
