"""What the page of a schedule shows beside its form: the words, the next fires, what became of past ones, its runs."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from fleet.admin.marks import link, link_to, read_once, table, yes_no
from fleet.errors import InvalidInput
from schedules import timing
from schedules.admin.ledger_table import ledger_table, ledger_url
from schedules.admin.words import (
    after_words,
    bounds_words,
    clock,
    distance,
    duration,
    no_fire_words,
    reason_badge,
    rhythm,
    status_badge,
)
from schedules.models import BlackoutCalendar, Schedule
from schedules.services.ledger import ledger_entries
from schedules.services.preview import Fire, preview_schedule
from schedules.words import windows_words

_FIRES = 5
_NONE_LEFT = {
    "manual": "It fires only by hand.",
    "ended": "Its end date has passed.",
    "limit": "Its maximum of runs is reached.",
    "never": "No fire is left.",
}
_RUNS = 10
_RECORDS = 8
# The ledger is asked for everything: fires may be older than the row, in a schedule that was imported.
_EVER = timedelta(days=36500)


class SchedulePage:
    @admin.display(description="in words")
    def words(self, obj: Schedule) -> str:
        return "; ".join(filter(None, (rhythm(obj), after_words(obj), bounds_words(obj))))

    @admin.display(description="state")
    @read_once
    def state(self, obj: Schedule) -> str:
        mark = yes_no(yes=obj.enabled, word="Enabled", other="Paused")
        if not obj.enabled:
            return format_html("{} {}", mark, obj.paused_reason or "no reason given")
        open_span = obj.skip_spans.filter(last_fire_at=None).first()
        if open_span is None:
            return mark
        return format_html("{} {}", reason_badge(open_span.reason), no_fire_words(obj, open_span.reason))

    @admin.display(description="blackouts")
    @read_once
    def calendars(self, obj: Schedule) -> str:
        rows = BlackoutCalendar.objects.holding_for(obj).order_by("name")
        lines = ((link_to(each), "; ".join(windows_words(each)), each.timezone) for each in rows)
        return format_html_join("", "<div>{}: {}, {}</div>", lines) or "none"

    @admin.display(description="next fires")
    @read_once
    def next_fires(self, obj: Schedule) -> str:
        now = timezone.now()
        try:
            preview = preview_schedule(schedule=obj, after=now, count=_FIRES)
        except InvalidInput as problem:
            return f"None: {problem}"
        zones = dict.fromkeys((preview.timezone, "UTC"))
        rows = [
            (distance(fire.utc, now), *(clock(fire.utc, zone) for zone in zones), _note(fire)) for fire in preview.fires
        ]
        shown = table(("distance", *zones, ""), rows, empty=_NONE_LEFT[preview.ending or "never"])
        note = "" if obj.enabled or not rows else "It is paused: these would be its fires."
        return format_html("{}{}", note, shown)

    @admin.display(description="what became of its fires")
    @read_once
    def ledger_panel(self, obj: Schedule) -> str:
        now = timezone.now()
        try:
            entries = ledger_entries(obj, after=obj.created_at - _EVER, through=now, limit=_RECORDS)
        except timing.ExpressionError as problem:
            return f"Its ledger can't be counted: {problem}"
        shown = ledger_table(obj, entries, empty="No fire was expected yet.")
        return format_html("{}{}", shown, _below(link(ledger_url(obj), "The whole ledger, checked; and why?")))

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

    @admin.display(description="more of it")
    def elsewhere(self, obj: Schedule) -> str:
        models = (
            ("skipspan", "What was skipped"),
            ("schedulerevision", "Its former timing"),
            ("backfill", "Backfills"),
        )
        links = ((_filtered(model, obj, text),) for model, text in models)
        return format_html_join(" · ", "{}", links)


def _note(fire: Fire) -> str:
    """A clock change that moves or repeats it, and the blackout that keeps it from running."""
    told = [fire.note.en] if fire.note else []
    return "; ".join([*told, *([f"skipped: inside the blackout {fire.blackout}"] if fire.blackout else [])])


def _all(model: str, schedule: Schedule, text: str) -> str:
    return _below(_filtered(model, schedule, text))


def _filtered(model: str, schedule: Schedule, text: str) -> str:
    url = reverse(f"admin:schedules_{model}_changelist")
    return link(f"{url}?schedule__id__exact={schedule.pk}", text)


def _below(text: str) -> str:
    return format_html('<div class="mt-2">{}</div>', text)
