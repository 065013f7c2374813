"""The rows of the ledger: spans, the former timing, backfills. To be read; a backfill may be cancelled."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from fleet.admin.access import actor_of
from fleet.admin.actions import DialogForm, object_action
from fleet.admin.base import ReadOnlyAdmin
from fleet.admin.marks import badge, link, link_to, read_once, unbroken
from schedules import timing
from schedules.admin.filters import OpenFilter, TenantFilter
from schedules.admin.ledger_table import ledger_url
from schedules.admin.words import clock, counted, reason_badge, status_badge
from schedules.engine.course import expected_rule
from schedules.models import Backfill, ScheduleRevision, SkipSpan
from schedules.services.backfills import backfill_cancel


class OfSchedule(ReadOnlyAdmin):
    """Rows of a schedule, shown in its zone."""

    resource, organisation_path = "schedules", "schedule__organisation"
    search_fields = ("schedule__name", "schedule__display_name")
    list_select_related = ("schedule__organisation",)

    @admin.display(description="schedule", ordering="schedule__name")
    def of_schedule(self, obj: Any) -> SafeString:
        return unbroken(obj.schedule.name)

    @admin.display(description="schedule")
    def schedule_link(self, obj: Any) -> str:
        return link_to(obj.schedule)

    @admin.display(description="ledger")
    def ledger_link(self, obj: Any) -> SafeString:
        return link(ledger_url(obj.schedule), "The ledger of this schedule")


@admin.register(SkipSpan)
class SkipSpanAdmin(OfSchedule):
    list_display = ("of_schedule", "why", "fires", "first_fire", "last_fire", "detail")
    list_filter = ("reason", OpenFilter, TenantFilter)
    ordering = ("-first_fire_at",)
    fieldsets = [
        (None, {"fields": ("schedule_link", "why", "reason_words", "detail")}),
        ("Which fires", {"fields": ("first_fire", "last_fire", "fires_so_far", "ledger_link")}),
    ]
    readonly_fields = ("schedule_link", "why", "reason_words", "first_fire", "last_fire", "fires_so_far", "ledger_link")

    @admin.display(description="why", ordering="reason")
    def why(self, obj: SkipSpan) -> SafeString:
        return reason_badge(obj.reason)

    @admin.display(description="in words")
    def reason_words(self, obj: SkipSpan) -> str:
        return obj.get_reason_display()

    @admin.display(description="fires", ordering="count")
    def fires(self, obj: SkipSpan) -> str:
        return "–" if obj.count is None else str(obj.count)

    @admin.display(description="fires")
    @read_once
    def fires_so_far(self, obj: SkipSpan) -> str:
        if obj.count is not None:
            return str(obj.count)
        before = obj.first_fire_at - timedelta(microseconds=1)
        try:
            count = expected_rule(obj.schedule).count(before, timezone.now())
        except timing.ExpressionError as problem:
            return f"not known: {problem}"
        return f"{count} so far; they are written down when it ends"

    @admin.display(description="from", ordering="first_fire_at")
    def first_fire(self, obj: SkipSpan) -> str:
        return clock(obj.first_fire_at, obj.schedule.timezone)

    @admin.display(description="through", ordering="last_fire_at")
    def last_fire(self, obj: SkipSpan) -> str:
        if obj.last_fire_at is None:
            return badge("Still open", tone="busy", shape="more_horiz")
        return clock(obj.last_fire_at, obj.schedule.timezone)


@admin.register(ScheduleRevision)
class ScheduleRevisionAdmin(OfSchedule):
    list_display = ("of_schedule", "held_since", "words", "expression", "timezone", "bounds")
    list_filter = (TenantFilter,)
    ordering = ("-since", "-pk")
    fieldsets = [
        (None, {"fields": ("schedule_link", "held_since", "words")}),
        ("As it was", {"fields": ("expression", "timezone", "name", "anchor", "bounds", "zone_data")}),
    ]
    readonly_fields = ("schedule_link", "held_since", "words", "anchor", "bounds")

    @admin.display(description="since", ordering="since")
    def held_since(self, obj: ScheduleRevision) -> str:
        return clock(obj.since, obj.timezone)

    @admin.display(description="in words")
    def words(self, obj: ScheduleRevision) -> str:
        return timing.describe(obj.expression, timezone=obj.timezone, job_name=obj.name)

    @admin.display(description="an interval counts from")
    def anchor(self, obj: ScheduleRevision) -> str:
        return clock(obj.anchor_at, obj.timezone)

    @admin.display(description="from, until")
    def bounds(self, obj: ScheduleRevision) -> str:
        sides = (("from", obj.starts_at), ("until", obj.ends_at))
        return ", ".join(f"{word} {clock(moment, obj.timezone)}" for word, moment in sides if moment) or "–"


@admin.register(Backfill)
class BackfillAdmin(OfSchedule):
    list_display = ("titled", "of_schedule", "first_instant", "last_instant", "planned", "requested_by", "created_at")
    list_display_links = ("titled",)
    list_filter = (TenantFilter,)
    ordering = ("-pk",)
    actions_row = actions_detail = ("cancel",)
    fieldsets = [
        (None, {"fields": ("schedule_link", "first_instant", "last_instant", "requested_by", "created_at")}),
        ("Its runs", {"fields": ("planned", "outcome", "max_concurrent_runs", "overlap", "runs_link")}),
    ]
    readonly_fields = ("schedule_link", "first_instant", "last_instant", "outcome", "runs_link")

    @admin.display(description="backfill", ordering="pk")
    def titled(self, obj: Backfill) -> str:
        return f"b{obj.pk}"

    @admin.display(description="from", ordering="after")
    def first_instant(self, obj: Backfill) -> str:
        return clock(obj.begin, obj.schedule.timezone)

    @admin.display(description="through", ordering="through")
    def last_instant(self, obj: Backfill) -> str:
        return clock(obj.through, obj.schedule.timezone)

    @admin.display(description="how far it is")
    @read_once
    def outcome(self, obj: Backfill) -> str:
        counts = Counter(obj.runs.order_by().values_list("status", flat=True))
        marks = ((status_badge(status), count) for status, count in sorted(counts.items()))
        return format_html_join(" ", "{} {}", marks) or "none of its runs is kept"

    @admin.display(description="runs")
    def runs_link(self, obj: Backfill) -> SafeString:
        return link(f"{reverse('admin:schedules_run_changelist')}?backfill__id__exact={obj.pk}", "All its runs")

    @object_action(
        verb="run",
        title="Cancel backfill",
        icon="cancel",
        question="Cancel what is not over of this backfill?",
        says="Runs that wait are cancelled at once; those that run are ended within seconds. What is done stays.",
    )
    def cancel(self, request: HttpRequest, obj: Backfill, form: DialogForm) -> None:  # noqa: ARG002
        count = backfill_cancel(backfill=obj, actor=actor_of(request))
        self.message_user(request, f"Cancelled or asked to end: {counted(count, 'run')}.", messages.SUCCESS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("schedule__organisation")
