"""Templates become pages here: escaped, without a script, with the one sheet of styles inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from finetune_trainer.evidence.page_words import counted, shortened, shown

_FOLDER = Path(__file__).parent


def render(template: str, **values: Any) -> str:
    """A page from a template of this directory.

    Args:
        template: its file name; it gets `style` beside the values.
        values: texts are escaped; what is Markup was built from numbers and escaped words.
    """
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"shown": shown, "counted": counted, "shortened": shortened}
    style = Markup((_FOLDER / "page_style.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(style=style, **values)
