"""The receiving end of progress reports on one machine: the protocol that the operator speaks, on the loopback alone.

Stages report here exactly as they report in a cluster, so that a trainer which shows its progress on a workstation shows
it in a pod too. Each attempt gets a token of its own, and a report with another one is refused.
"""

from __future__ import annotations

import hmac
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from finetune_api import meta
from finetune_api.contract import progress as wire
from finetune_api.v1alpha1.status import Progress
from finetune_operator.brain.reports import to_progress

_POLL_SECONDS = 0.05
"""How long closing may take: a person who presses Ctrl-C waits for it."""


class _QuietServer(ThreadingHTTPServer):
    """Says nothing about a client that went away in the middle of a request: the terminal belongs to the run."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A report that was lost costs nothing."""


class ProgressServer:
    """Takes the newest report of the running attempt."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token: str | None = None
        self._newest: wire.TrainerStatus | None = None
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), name="progress-server", daemon=True).start()

    def expect(self, token: str, token_file: Path) -> dict[str, str]:
        """Take reports with this token from now on; returns the environment that a stage needs to report."""
        token_file.touch(mode=0o600)
        token_file.write_text(token, encoding="utf-8")
        with self._lock:
            self._token, self._newest = token, None
        port = self._server.server_address[1]
        return {
            meta.PROGRESS_URL_VARIABLE: f"http://127.0.0.1:{port}/progress",
            meta.PROGRESS_TOKEN_VARIABLE: str(token_file),
        }

    def newest(self) -> Progress | None:
        """The newest report of the expected attempt, as the status shows it."""
        with self._lock:
            report = self._newest
        return to_progress(report) if report else None

    def resumed_from_step(self) -> int | None:
        """Step with which the attempt began, if it said so."""
        newest = self.newest()
        return newest.resumed_from_step if newest else None

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _take(self, authorization: str | None, body: bytes) -> int:
        with self._lock:
            token = self._token
        if token is None or not hmac.compare_digest((authorization or "").encode(), f"Bearer {token}".encode()):
            return 401
        try:
            report = wire.ProgressReport.model_validate_json(body)
        except ValidationError:
            return 422
        with self._lock:
            if self._newest is None or report.trainer_status.last_updated_time >= self._newest.last_updated_time:
                self._newest = report.trainer_status
        return 200

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_POST(self) -> None:  # the base class's name
                said = self.headers.get("Content-Length") or "0"
                length = int(said) if said.isdecimal() else None
                if length is None:
                    code = 400
                elif length > wire.MAX_BODY_BYTES:
                    code = 413
                else:
                    code = take(self.headers.get("Authorization"), self.rfile.read(length))
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: Any) -> None:
                """Say nothing: the terminal belongs to the run."""

        return Handler
