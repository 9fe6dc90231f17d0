"""A real browser for tests of the report page: Chromium without a window, spoken to through its own debugging pipe.

It tells what a person at the console and in the network tab would see, so that "loads nothing" is observed and not assumed.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_FLAGS = (
    "--headless",
    "--no-sandbox",  # tests in containers run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
_PATIENCE_SECONDS = 180.0


@dataclass(slots=True)
class Visit:
    """What happened while a page was open."""

    requests: list[str] = field(default_factory=list)
    """Addresses asked for, except the page itself."""
    complaints: list[str] = field(default_factory=list)
    """What the console shows: errors, warnings, violations of the security policy, output of scripts."""


class Browser:
    """One Chromium with one tab, for the time of a `with` block."""

    def __init__(self, program: str, profile: Path) -> None:
        to_child, self._write = os.pipe()
        self._read, from_child = os.pipe()

        def connect() -> None:  # Chromium reads commands from 3 and writes answers to 4
            os.dup2(to_child, 63), os.dup2(from_child, 64)
            os.dup2(63, 3), os.dup2(64, 4)

        self._process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=connect,
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_child)
        os.close(from_child)
        self._rest = b""
        self._number = 0
        self._events: list[dict[str, Any]] = []
        self._session: str | None = None

    def __enter__(self) -> Self:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._session = None
        try:
            self.call("Browser.close")
            self._process.wait(60)
        except (OSError, TimeoutError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come meanwhile are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result
            self._events.append(answer)

    def visit(self, page: Path) -> Visit:
        """Open a page, wait until it is loaded and quiet, and say what it did."""
        self._events.clear()
        url = page.resolve().as_uri()
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._events.append(self._next())
        # Two frames later everything that the page starts by itself has been started.
        self.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 200)))")
        visit = Visit()
        for event in self._events:
            params = event.get("params", {})
            match event.get("method"):
                case "Network.requestWillBeSent":
                    visit.requests.append(params["request"]["url"])
                case "Log.entryAdded":
                    visit.complaints.append(params["entry"]["text"])
                case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Audits.issueAdded":
                    visit.complaints.append(json.dumps(params)[:500])
                case _:
                    pass
        # The page itself was asked for by us; its icon is an address of no bytes, which asks nobody.
        visit.requests = [one for one in visit.requests if one not in (url, "data:,")]
        return visit

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page, as a debugger has it: the page's policy does not bind it."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._read], [], [], _PATIENCE_SECONDS)[0]:
                raise TimeoutError("the browser says nothing")
            part = os.read(self._read, 1 << 16)
            if not part:
                raise OSError("the browser has ended")
            self._rest += part
        line, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        return message
