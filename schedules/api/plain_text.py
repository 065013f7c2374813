"""A log as text, for a terminal and a download."""

from __future__ import annotations

import json
from typing import Any

from rest_framework.renderers import BaseRenderer


class PlainTextRenderer(BaseRenderer):
    media_type = "text/plain"
    format = "text"
    charset = "utf-8"

    def render(self, data: Any, *_: Any, **__: Any) -> bytes:
        # A refusal (problem+json) passes here too when the caller asked for text.
        text = data if isinstance(data, str) else json.dumps(data)
        return text.encode("utf-8", "replace")
