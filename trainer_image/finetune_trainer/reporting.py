"""Progress on its way out, without holding up the work.

Reports go to the operator in Kubeflow Trainer's wire format (contract/progress.py) from a thread of their own: the work
leaves the newest state and never waits for a network. A report that is lost costs nothing, the next one says more.
"""

from __future__ import annotations

import http.client
import json
import logging
import ssl
import threading
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from finetune_api import meta
from finetune_api.contract.progress import ProgressReport, ReportedMetric, TrainerStatus

log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 5.0


class ProgressReporter:
    """Posts the newest state at most every few seconds; does nothing where the environment names no server.

    Args:
        environment: with the three variables of the protocol.
        now: the clock, aware UTC.
        interval_seconds: shortest time between two posts.
    """

    def __init__(self, environment: Mapping[str, str], *, now: Callable[[], datetime], interval_seconds: float = 2.0) -> None:
        self._url = environment.get(meta.PROGRESS_URL_VARIABLE)
        self._ca = environment.get(meta.PROGRESS_CA_VARIABLE)
        self._token = environment.get(meta.PROGRESS_TOKEN_VARIABLE)
        self._now = now
        self._interval = interval_seconds
        self._newest: TrainerStatus | None = None
        self._last: TrainerStatus | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        if self._url:
            self._thread = threading.Thread(target=self._post_for_ever, name="progress", daemon=True)
            self._thread.start()

    def report(
        self, *, percent: int | None, eta_seconds: float | None = None, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Leave the newest state; an older one that was not sent yet is forgotten."""
        status = TrainerStatus(
            last_updated_time=self._now(),
            progress_percentage=percent,
            estimated_remaining_seconds=None if eta_seconds is None else max(0, round(eta_seconds)),
            metrics=tuple(ReportedMetric(name=name, value=repr(float(value))) for name, value in (metrics or {}).items()),
        )
        self._leave(status)

    def repeat(self) -> None:
        """Leave the last state once more, as of now: some work takes hours, and who sees no report takes a run for dead.

        Cheap until it is time for another report, so it may be called with each piece of work, from any thread.
        """
        if self._last is None:
            return
        now = self._now()
        if (now - self._last.last_updated_time).total_seconds() >= self._interval:
            self._leave(self._last.model_copy(update={"last_updated_time": now}))

    def _leave(self, status: TrainerStatus) -> None:
        with self._lock:
            self._newest = self._last = status
        self._wake.set()

    def close(self) -> None:
        """Send what is left, within the time of one post."""
        self._closing.set()
        self._wake.set()
        if self._thread:
            self._thread.join(_TIMEOUT_SECONDS + 1)

    def _post_for_ever(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            self._post()
            self._closing.wait(self._interval)
        self._post()

    def _post(self) -> None:
        with self._lock:
            status, self._newest = self._newest, None
        if status is None or self._url is None:
            return
        body = ProgressReport(trainer_status=status).model_dump(mode="json", by_alias=True, exclude_none=True)
        headers = {"Content-Type": "application/json"}
        try:
            if self._token:
                # Read at each post: the kubelet renews the token while we run.
                headers["Authorization"] = f"Bearer {Path(self._token).read_text(encoding='utf-8').strip()}"
            request = urllib.request.Request(self._url, data=json.dumps(body).encode(), headers=headers, method="POST")
            with self._opener().open(request, timeout=_TIMEOUT_SECONDS):
                pass
        except (OSError, ValueError, http.client.HTTPException) as error:
            log.debug("a progress report was not taken: %s", type(error).__name__)

    def _opener(self) -> urllib.request.OpenerDirector:
        """Goes straight to the operator: a proxy that leads to model hubs does not know the cluster's own names."""
        straight = urllib.request.ProxyHandler({})
        if self._url is None or not self._url.startswith("https:"):
            return urllib.request.build_opener(straight)
        # The authority's file is read at each post: the operator renews its certificate while we run.
        context = ssl.create_default_context(cafile=self._ca)
        return urllib.request.build_opener(straight, urllib.request.HTTPSHandler(context=context))
