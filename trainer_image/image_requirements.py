"""Writes what an image's dependency layer installs, so that such a layer is built anew when these lists change and only then.

    python image_requirements.py PYPROJECT CONSTRAINTS FOLDER

FOLDER gets operator.txt, trainer.txt and pins.txt. Where the base image brings its own torch (a GPU vendor's build), the pins
of torch and its libraries are left out: it must survive the installation.
"""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path

TESTS_ONLY = "# For tests alone."
"""Line of the constraints below which no image looks: a new linter must not build gigabytes anew."""
_OF_TORCH = ("torch==", "triton==", "nvidia-", "cuda-")


def main(pyproject: Path, constraints: Path, folder: Path) -> None:
    """Read the project's lists and write those of the images."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    for extra in ("operator", "trainer"):
        needed = sorted(project["dependencies"] + project["optional-dependencies"][extra])
        (folder / f"{extra}.txt").write_text("\n".join(needed) + "\n", encoding="utf-8")
    has_torch = importlib.util.find_spec("torch") is not None
    pins = constraints.read_text(encoding="utf-8").partition(TESTS_ONLY)[0].splitlines()
    kept = [pin for pin in pins if not (has_torch and pin.startswith(_OF_TORCH))]
    (folder / "pins.txt").write_text("\n".join(kept) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
