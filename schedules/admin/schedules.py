"""Schedules: the list, the form with its saving through services, and what its page shows beside the form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from fleet.admin.access import actor_of
from fleet.admin.actions import DeleteEach
from fleet.admin.base import TenantAdmin, become, said
from fleet.admin.filters import AgentFilter, OrganisationFilter
from fleet.admin.marks import unbroken, yes_no
from schedules.admin.choices import writable_jobs
from schedules.admin.filters import ExecutorFilter, LastStatusFilter
from schedules.admin.ledger_page import ScheduleLedger
from schedules.admin.schedule_actions import ScheduleActions
from schedules.admin.schedule_form import ScheduleForm
from schedules.admin.schedule_page import SchedulePage
from schedules.admin.words import after_words, counted, next_fire, rhythm, status_badge
from schedules.models import Run, Schedule, SkipSpan
from schedules.services.schedules import schedule_create, schedule_delete, schedule_update

F = TypeVar("F", bound=Callable[..., object])

if TYPE_CHECKING:

    def themed(**_: Any) -> Callable[[F], F]: ...
else:
    from unfold.decorators import display as themed

_TIMING = ("expression", "timezone")
_BOUNDS = ("starts_at", "ends_at", "max_runs", "jitter_seconds")
_LIMITS = ("timeout_seconds", "max_retries", "retry_delays", "max_concurrent_runs", "priority")
_COLLIDING = ("overlap", "misfire", "catchup_seconds", "start_within_seconds", "pause_after_failures")
# Read beside the form, of a schedule that is there.
_TOLD = ("words", "state", "calendars", "next_fires")
_PAST = ("ledger_panel", "recent_runs", "elsewhere")


@admin.register(Schedule)
class ScheduleAdmin(DeleteEach, ScheduleActions, ScheduleLedger, SchedulePage, TenantAdmin):
    resource = "schedules"
    form = ScheduleForm
    list_display = ("titled", "when", "fires_next", "last_run", "is_enabled", "works_on")
    list_display_links = ("titled",)
    list_filter = (
        OrganisationFilter,
        "enabled",
        LastStatusFilter,
        "kind",
        ExecutorFilter,
        AgentFilter,
    )
    search_fields = ("name", "display_name", "description")
    list_select_related = ("organisation", "agent", "run_after")
    actions = ("run_selected", "enable_selected", "disable_selected")
    actions_row = actions_detail = ("run_now", "enable", "disable", "backfill", "ledger")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # One row of the index `run_schedule_newest` for each schedule on the page.
        newest = Run.objects.filter(schedule=OuterRef("pk")).order_by("-created_at").values("status")[:1]
        rows: QuerySet[Any] = super().get_queryset(request)
        # Why it fires no more, when it does not.
        still_open = SkipSpan.objects.filter(schedule=OuterRef("pk"), last_fire_at=None).values("reason")[:1]
        told: QuerySet[Any] = rows.annotate(last_status=Subquery(newest), open_reason=Subquery(still_open))
        return told

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        who: tuple[Any, ...] = ("organisation", ("display_name", "name"), "description")
        return [
            (None, {"fields": who if obj else (*who, "enabled")}),
            ("When", {"fields": (_TIMING, *_TOLD) if obj else (_TIMING,)}),
            ("From when, until when, how often", {"fields": _BOUNDS}),
            ("After another job", {"fields": ("run_after", "run_after_on")}),
            ("What", {"fields": ("executor", "agent", "payload")}),
            ("Limits and retries", {"fields": _LIMITS}),
            ("When fires collide, are missed, or its runs fail", {"fields": _COLLIDING}),
            *([("Its past", {"fields": _PAST})] if obj else []),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return ("organisation", *_TOLD, *_PAST) if obj else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "run_after":
            kwargs["queryset"] = writable_jobs(request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @themed(description="schedule", header=True, ordering="name")
    def titled(self, obj: Schedule) -> tuple[str, str]:
        return unbroken(obj.name), obj.display_name if obj.display_name != obj.name else ""

    @admin.display(description="when", ordering="expression")
    def when(self, obj: Schedule) -> str:
        return "; ".join(filter(None, (rhythm(obj), after_words(obj))))

    @themed(description="next fire", header=True, ordering="next_run_at")
    def fires_next(self, obj: Any) -> tuple[str, str]:
        when, why = next_fire(obj, timezone.now(), obj.open_reason or "")
        return unbroken(when), unbroken(why) if obj.enabled else why

    @themed(description="agent, organisation", header=True, ordering="agent__slug")
    def works_on(self, obj: Schedule) -> tuple[str, str]:
        return unbroken(obj.agent.slug if obj.agent else "–"), unbroken(obj.organisation.slug)

    @admin.display(description="last run", ordering="last_status")
    def last_run(self, obj: Any) -> SafeString | str:
        return status_badge(obj.last_status) if obj.last_status else "none yet"

    @admin.display(description="enabled", ordering="enabled")
    def is_enabled(self, obj: Schedule) -> SafeString:
        return yes_no(yes=obj.enabled, word="Enabled", other="Paused")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        if change:
            become(obj, schedule_update(schedule=obj, actor=actor_of(request), **said(form)))
        else:
            become(obj, schedule_create(actor=actor_of(request), **form.cleaned_data))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        schedule_delete(schedule=obj, actor=actor_of(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:  # noqa: ARG002
        """What is lost and what stays, for the confirmation."""
        rows = list(objs)
        return [_lost(row) for row in rows], {"schedules": len(rows)}, set(), []


def _lost(schedule: Schedule) -> str:
    runs = Run.objects.filter(schedule=schedule)
    parts = [f"{schedule.name} ({schedule.display_name}): {rhythm(schedule)}."]
    if active := runs.active().count():
        parts.append(f"{counted(active, 'run')} not over yet: cancelled.")
    if spans := schedule.skip_spans.count():
        parts.append(f"{counted(spans, 'record')} of skipped fires: lost.")
    if kept := runs.count():
        parts.append(f"{counted(kept, 'run')} with logs: kept.")
    return " ".join(parts)
