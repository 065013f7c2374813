"""Records of the ledger as a table: runs and spans together, the latest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fleet.admin.marks import badge, link, link_to, table
from schedules.admin.words import duration, fate_badge, stamp
from schedules.models import Run, Schedule, SkipSpan
from schedules.services.ledger import Entry

_HEADERS = ("fire", "became", "fires", "how", "")
_LONGEST = 120


def ledger_url(schedule: Schedule, **query: str) -> str:
    url = reverse("admin:schedules_schedule_ledger", args=(schedule.pk,))
    return f"{url}?{urlencode(query)}" if query else url


def ledger_table(schedule: Schedule, entries: Iterable[Entry], *, empty: str) -> str:
    return table(_HEADERS, [tuple(_cells(schedule, entry)) for entry in entries], empty=empty)


def _cells(schedule: Schedule, entry: Entry) -> Iterator[Any]:
    yield _when(schedule, entry)
    yield fate_badge(entry)
    yield str(entry.count)
    yield _of_run(entry.run) if entry.run else _of_span(entry.span)
    yield link(f"{ledger_url(schedule, at=f'{entry.first:%Y-%m-%dT%H:%M:%SZ}')}#why", "Why?")


def _when(schedule: Schedule, entry: Entry) -> SafeString:
    first, last = stamp(entry.first, schedule.timezone), stamp(entry.last, schedule.timezone)
    if entry.span and entry.span.last_fire_at is None:
        still = badge("Still open", tone="busy", shape="more_horiz")
        return format_html("since {} {}", first, still)
    return first if entry.count == 1 else format_html("{} to {}", first, last)


def _of_run(run: Run) -> SafeString:
    took = duration(run.duration_ms) if run.duration_ms is not None else ""
    told = ": ".join(filter(None, (took, (run.error_message or run.result_summary)[:_LONGEST])))
    return format_html('<span class="wb-wrap">{} {}</span>', link_to(run), told)


def _of_span(span: SkipSpan | None) -> SafeString:
    if span is None:
        return SafeString("")
    detail = f": {span.detail}" if span.detail else ""
    return format_html('<span class="wb-wrap">{}{}</span>', span.get_reason_display(), detail)
