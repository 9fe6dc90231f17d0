"""Programs of one's own in place of our training, as small as a fault needs them: a spec's `image` and `command`.

They keep to the contract (docs/contract.md) and load no library, so a fault of pods and nodes is not waiting for torch.
"""

from __future__ import annotations

from typing import Any

_REPORT = """
import datetime, json, os, pathlib, signal, ssl, sys, time, urllib.request

def report(step):  # whether it was taken
    now = datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    body = {"trainerStatus": {"progressPercentage": min(step, 99), "lastUpdatedTime": now, "metrics": [
        {"name": "current_step", "value": str(step)}, {"name": "total_steps", "value": "100"}]}}
    token = pathlib.Path(os.environ["KUBEFLOW_TRAINER_SERVER_TOKEN"]).read_text()
    context = ssl.create_default_context(cafile=os.environ["KUBEFLOW_TRAINER_SERVER_CA_CERT"])
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["KUBEFLOW_TRAINER_SERVER_URL"], json.dumps(body).encode(), headers)
    try:
        urllib.request.urlopen(request, context=context, timeout=5).read()
    except OSError as error:
        print("not reported:", error, flush=True)
        return False
    return True

mine = pathlib.Path(os.environ["FINETUNE_WORKSPACE"], "checkpoints", os.environ["FINETUNE_ATTEMPT"])
mine.mkdir(parents=True, exist_ok=True)
index = os.environ.get("JOB_COMPLETION_INDEX", "0")
"""


def _own(image: str, code: str) -> dict[str, Any]:
    return {"image": image, "command": ["python", "-c", _REPORT + code]}


def steady(image: str, *, code_on_term: int = 143) -> dict[str, Any]:
    """Writes a line into its attempt's folder twice a second and reports, for ever; told to stop, it exits with this code."""
    return _own(
        image,
        f"""
signal.signal(signal.SIGTERM, lambda *_: os._exit({code_on_term}))
for step in range(1, 100000):
    with (mine / ("lines-" + index)).open("a") as file:
        file.write(str(step) + "\\n")
    if index == "0" and step % 4 == 1:
        report(step // 4 + 1)
    time.sleep(0.5)
""",
    )


def hanging(image: str) -> dict[str, Any]:
    """Reports one step and then nothing any more."""
    return _own(image, "while not report(1):\n    time.sleep(1)\ntime.sleep(3600)\n")


def greedy(image: str) -> dict[str, Any]:
    """Takes memory until there is none."""
    return _own(image, "kept = []\nwhile True:\n    kept.append(bytearray(os.urandom(1 << 20)) * 16)\n")
