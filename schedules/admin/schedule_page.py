"""What the page of a schedule shows beside its form: the words, the next fires, its runs, what was skipped."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from fleet.admin.marks import link, link_to, read_once, table, yes_no
from schedules import timing
from schedules.admin.words import clock, coming_fires, distance, duration, rhythm, status_badge
from schedules.models import Schedule

_RUNS = 10
_SPANS = 5


class SchedulePage:
    @admin.display(description="in words")
    def words(self, obj: Schedule) -> str:
        return rhythm(obj)

    @admin.display(description="state")
    def state(self, obj: Schedule) -> str:
        mark = yes_no(yes=obj.enabled, word="Enabled", other="Paused")
        return mark if obj.enabled else format_html("{} {}", mark, obj.paused_reason or "no reason given")

    @admin.display(description="next fires")
    @read_once
    def next_fires(self, obj: Schedule) -> str:
        now = timezone.now()
        try:
            fires = coming_fires(obj, now)
        except timing.ExpressionError as problem:
            return f"None: {problem}"
        zones = dict.fromkeys((obj.timezone, "UTC"))
        rows = [(distance(fire, now), *(clock(fire, zone) for zone in zones)) for fire in fires]
        shown = table(("distance", *zones), rows, empty="It fires only by hand or has no fire left.")
        note = "" if obj.enabled or not rows else "It is paused: these would be its fires."
        return format_html("{}{}", note, shown)

    @admin.display(description="recent runs")
    @read_once
    def recent_runs(self, obj: Schedule) -> str:
        now = timezone.now()
        rows = [
            (
                link_to(run),
                status_badge(run.status),
                run.get_trigger_display(),
                distance(run.created_at, now),
                duration(run.duration_ms),
                format_html('<span class="wb-wrap">{}</span>', (run.error_message or run.result_summary)[:120]),
            )
            for run in obj.runs.order_by("-created_at")[:_RUNS]
        ]
        headers = ("run", "status", "trigger", "planned", "duration", "outcome")
        shown = table(headers, rows, empty="No run yet. Run now starts one.")
        return shown if not rows else format_html("{}{}", shown, _all("run", obj, "All its runs"))

    @admin.display(description="skipped fires")
    @read_once
    def recent_skips(self, obj: Schedule) -> str:
        rows = [
            (
                str(span.count),
                span.get_reason_display(),
                clock(span.first_fire_at, obj.timezone),
                clock(span.last_fire_at, obj.timezone),
            )
            for span in obj.skip_spans.order_by("-first_fire_at")[:_SPANS]
        ]
        shown = table(("fires", "why", "from", "through"), rows, empty="Every fire became a run.")
        return shown if not rows else format_html("{}{}", shown, _all("skipspan", obj, "All that was skipped"))


def _all(model: str, schedule: Schedule, text: str) -> str:
    url = reverse(f"admin:schedules_{model}_changelist")
    return format_html('<div class="mt-2">{}</div>', link(f"{url}?schedule__id__exact={schedule.pk}", text))
