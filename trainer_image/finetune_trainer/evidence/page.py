"""placeholder, replaced below"""

from __future__ import annotations

import json
from typing import Any


def render_page(value: dict[str, Any]) -> str:
    """JSON for now."""
    return json.dumps(value)
