"""What a page said."""

from __future__ import annotations

from typing import Any

from django.contrib.messages import get_messages


def said(response: Any) -> str:
    return " ".join(str(each) for each in get_messages(response.wsgi_request))
