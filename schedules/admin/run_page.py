"""The page of a run: its state, its events, its log, where its task is seen, what it was retried from."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote

from django.conf import settings
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from fleet.admin.marks import link, link_to, pretty, read_once, table
from schedules.admin.words import clock, distance, duration, status_badge, wait_of
from schedules.models import Run, RunLogChunk

_LINES = 300
_CHUNKS = 50
_LOG = '<div class="wb-log" tabindex="0" role="log" aria-label="Log"><pre>{}</pre></div>'


if TYPE_CHECKING:
    from fleet.admin.base import ReadOnlyAdmin as _Page
else:
    _Page = object


class RunPage(_Page):
    fieldsets = [
        (None, {"fields": ("badge", "wait", "schedule_link", "agent", "trigger", "requested_by", "lineage", "task")}),
        ("Outcome", {"fields": ("error_code", "error_message", "result_summary", "session_id", "message_id")}),
        ("Log", {"fields": ("log",)}),
        ("What happened", {"fields": ("timeline",)}),
        ("When", {"fields": ("fire", "planned", "began", "ended", "how_long", "deadline")}),
        (
            "What it was told",
            {"fields": ("executor", "queue", "shown_payload", "attempt", "max_retries", "timeout_seconds", "priority")},
        ),
        ("For machines", {"fields": ("job_run_id", "worker", "shown_result", "shown_handle")}),
    ]
    readonly_fields = (
        *("badge", "wait", "schedule_link", "lineage", "task", "log", "timeline"),
        *("fire", "planned", "began", "ended", "how_long", "deadline"),
        *("shown_payload", "shown_result", "shown_handle"),
    )

    @admin.display(description="status")
    def badge(self, obj: Run) -> str:
        return status_badge(obj.status)

    @admin.display(description="waits")
    def wait(self, obj: Run) -> str:
        return wait_of(obj, timezone.now()) or "no"

    @admin.display(description="schedule")
    def schedule_link(self, obj: Run) -> str:
        if obj.schedule is None and obj.schedule_name:
            return f"{obj.schedule_name} (deleted)"
        return link_to(obj.schedule, obj.schedule_name or "none")

    @admin.display(description="retries")
    @read_once
    def lineage(self, obj: Run) -> str:
        later = format_html_join(", ", "{}", ((link_to(each),) for each in obj.retries.order_by("pk")[:20]))
        parts = [("retry of {}", link_to(obj.retry_of))] if obj.retry_of else []
        parts += [("retried as {}", later)] if later else []
        return format_html_join("; ", "{}", ((format_html(text, run),) for text, run in parts)) or "none"

    @admin.display(description="task")
    def task(self, obj: Run) -> str:
        flower = settings.WATCHBILL.flower_url.rstrip("/")
        if not flower:
            return f"{obj.task_id} (no Flower is set: FLOWER_URL)"
        return link(f"{flower}/task/{quote(obj.task_id)}", f"{obj.task_id} in Flower")

    @admin.display(description="events")
    @read_once
    def timeline(self, obj: Run) -> str:
        rows = [
            (clock(event.at), event.kind.replace("_", " "), str(event.attempt), event.cause, event.actor or "the watch")
            for event in obj.events.order_by("id")[:200]
        ]
        return table(("at", "event", "attempt", "cause", "by"), rows, empty="No event was recorded.")

    @admin.display(description="log")
    @read_once
    def log(self, obj: Run) -> str:
        lines = _last_lines(obj)
        if not lines:
            return "No line yet." if not obj.is_over else "It wrote no line."
        url = reverse("admin:schedules_run_log", args=(obj.pk,))
        note = format_html("The last {} lines. {}", len(lines), link(url, "Whole log as text"))
        return format_html("{}{}", note, format_html(_LOG, "\n".join(lines)))

    @admin.display(description="fire")
    def fire(self, obj: Run) -> str:
        return _moment(obj, "fire_at", "none: it was asked for")

    @admin.display(description="planned")
    def planned(self, obj: Run) -> str:
        return _moment(obj, "created_at", "")

    @admin.display(description="started")
    def began(self, obj: Run) -> str:
        return _moment(obj, "started_at", "not yet")

    @admin.display(description="ended")
    def ended(self, obj: Run) -> str:
        return _moment(obj, "finished_at", "not yet")

    @admin.display(description="deadline")
    def deadline(self, obj: Run) -> str:
        return _moment(obj, "deadline_at", "set when it starts")

    @admin.display(description="duration")
    def how_long(self, obj: Run) -> str:
        return duration(obj.duration_ms)

    @admin.display(description="payload")
    def shown_payload(self, obj: Run) -> str:
        return pretty(obj.payload)

    @admin.display(description="result")
    def shown_result(self, obj: Run) -> str:
        return pretty(obj.result)

    @admin.display(description="outside handle")
    def shown_handle(self, obj: Run) -> str:
        return pretty(obj.handle)


def _moment(run: Run, field: str, otherwise: str) -> str:
    moment = getattr(run, field)
    if moment is None:
        return otherwise
    text = f"{distance(moment, timezone.now())}: {clock(moment)}"
    zone = run.schedule.timezone if run.schedule else "UTC"
    return text if zone == "UTC" else f"{text}, {clock(moment, zone)}"


def _last_lines(run: Run) -> list[str]:
    """The newest lines, oldest first; reads no more chunks than it may need."""
    newest = RunLogChunk.objects.filter(run=run).order_by("-pk")[:_CHUNKS]
    lines = (text for chunk in newest.iterator() for _, _, text in reversed(chunk.lines))
    return list(islice(lines, _LINES))[::-1]
