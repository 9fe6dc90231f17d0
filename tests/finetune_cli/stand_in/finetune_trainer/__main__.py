"""A trainer that trains nothing: it keeps to the contract (design section 5) and ends as a file tells it.

The file named by FINETUNE_STAND_IN holds the last words of each stage that does its work, and what single attempts do
instead: {"answers": {"train": {...}}, "acts": {"train-1": {"exit": 75, "error": {...}}}}. An act may report a step, make
a file, wait until it is told to stop, turn a deaf ear to that, or outlive the program that started it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any


def report(act: dict[str, Any], *, token: str) -> int:
    metrics = [{"name": name, "value": str(value)} for name, value in act["report"].items()]
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    state = {"lastUpdatedTime": now, "progressPercentage": 50, "metrics": metrics}
    request = urllib.request.Request(
        os.environ["KUBEFLOW_TRAINER_SERVER_URL"],
        data=json.dumps({"trainerStatus": state}).encode(),
        headers={"Authorization": f"Bearer {token}"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(answer.status)


def say(stage: str, attempt: int, **words: Any) -> None:
    text = json.dumps({"stage": stage, "attempt": attempt, **words})
    Path(os.environ["FINETUNE_TERMINATION_LOG"]).write_text(text, encoding="utf-8")


def wait(act: dict[str, Any], ready: Path) -> None:
    """Until told to stop (exit code 143), or the parent is gone."""

    def stop(*_: Any) -> None:
        if not act.get("deaf"):
            raise SystemExit(143)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, lambda *_: os._exit(2))  # the terminal's own Ctrl-C is not for us
    ready.touch()
    for _ in range(15_000):
        if os.getppid() != int(os.environ["FINETUNE_PARENT_PID"]) and not act.get("orphan"):
            os._exit(75)
        time.sleep(0.02)


def main() -> int:
    stage, flag, path = sys.argv[1:]
    assert flag == "--config"
    orders = json.loads(Path(path).read_text(encoding="utf-8"))
    assert orders["stage"] == stage
    attempt = orders["job"]["attempt"]
    told = json.loads(Path(os.environ["FINETUNE_STAND_IN"]).read_text(encoding="utf-8"))
    act = told["acts"].get(f"{stage}-{attempt}", {})
    print(f"{stage} attempt {attempt} at work", flush=True)
    if "report" in act:
        report(act, token=Path(os.environ["KUBEFLOW_TRAINER_SERVER_TOKEN"]).read_text(encoding="utf-8"))
    for name, text in act.get("files", {}).items():
        made = Path(orders["workspace"]) / name
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(text, encoding="utf-8")
    if act.get("wait"):
        try:
            wait(act, Path(path).with_name("ready"))
        except SystemExit:
            say(stage, attempt, error={"class": "Interrupted", "message": "told to stop"})
            raise
    if "error" in act:
        say(stage, attempt, error=act["error"])
    elif not act.get("silent"):
        say(stage, attempt, **told["answers"][stage])
    return int(act.get("exit", 0))


if __name__ == "__main__":
    sys.exit(main())
