"""Small marks of a page: badges with a shape and a word beside their colour, links, tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, Literal, TypeVar, cast

from django.db import models
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

F = TypeVar("F", bound=Callable[..., Any])
Tone = Literal["ok", "failed", "warn", "busy", "quiet"]

# The theme's own label classes: others are not in its style sheet.
_TONES: dict[Tone, str] = {
    "ok": "bg-green-100 text-green-700 dark:bg-green-500/20 dark:text-green-400",
    "failed": "bg-red-100 text-red-700 dark:bg-red-500/20 dark:text-red-400",
    "warn": "bg-orange-100 text-orange-700 dark:bg-orange-500/20 dark:text-orange-400",
    "busy": "bg-blue-100 text-blue-700 dark:bg-blue-500/20 dark:text-blue-400",
    "quiet": "bg-base-500/8 text-base-700 dark:bg-base-500/20 dark:text-base-200",
}
_BADGE = (
    '<span class="inline-block font-semibold h-6 leading-6 px-2 rounded-default text-[11px] whitespace-nowrap {}">'
    '<span class="material-symbols-outlined text-sm -ml-0.5 mr-0.5 align-[-3px]" aria-hidden="true">{}</span>'
    "{}</span>"
)


def read_once(method: F) -> F:
    """For a field that reads the database: the theme's template asks a read-only field for its text five times."""
    name = f"_read_once_{method.__name__}"

    @wraps(method)
    def reading(page: Any, obj: Any) -> Any:
        if name not in obj.__dict__:
            obj.__dict__[name] = method(page, obj)
        return obj.__dict__[name]

    return cast("F", reading)


def badge(word: str, *, tone: Tone, shape: str) -> SafeString:
    """A word on a coloured ground behind its shape (a name of the theme's icon font)."""
    return format_html(_BADGE, _TONES[tone], shape, word)


def yes_no(*, yes: bool, word: str, other: str) -> SafeString:
    if yes:
        return badge(word, tone="ok", shape="check_circle")
    return badge(other, tone="quiet", shape="pause_circle")


def link_to(obj: models.Model | None, text: str = "") -> str:
    """A link to the object's page in the admin."""
    if obj is None:
        return text
    opts = obj._meta  # noqa: SLF001 - Django's documented API
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=(obj.pk,))
    return link(url, text or str(obj))


def link(url: str, text: str) -> SafeString:
    return format_html('<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', url, text)


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> str:
    """A table in the theme's look, or the sentence that says why there is none."""
    kept = list(rows)
    if not kept:
        return empty
    return render_to_string("unfold/components/table.html", {"table": {"headers": headers, "rows": kept}})


def unbroken(text: str) -> SafeString:
    """On one line: a name or a clock that wraps is read twice."""
    return format_html('<span class="whitespace-nowrap">{}</span>', text)


def breaking(text: str) -> SafeString:
    """A hash or a path, which may break anywhere: on a phone it would push the page aside."""
    return format_html('<span class="wb-breaking">{}</span>', text)


def pretty(value: Any) -> SafeString:
    """A JSON value for reading."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return format_html('<pre class="wb-json">{}</pre>', text)
