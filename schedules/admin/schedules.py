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
from schedules.admin.filters import ExecutorFilter, LastStatusFilter
from schedules.admin.schedule_actions import ScheduleActions
from schedules.admin.schedule_form import ScheduleForm
from schedules.admin.schedule_page import SchedulePage
from schedules.admin.words import counted, next_fire, rhythm, status_badge
from schedules.models import Run, Schedule
from schedules.services.schedules import schedule_create, schedule_delete, schedule_update

F = TypeVar("F", bound=Callable[..., object])

if TYPE_CHECKING:

    def themed(**_: Any) -> Callable[[F], F]: ...
else:
    from unfold.decorators import display as themed

_TIMING = ("expression", "timezone")
_LIMITS = ("timeout_seconds", "max_retries", "retry_delays", "max_concurrent_runs", "priority")


@admin.register(Schedule)
class ScheduleAdmin(DeleteEach, ScheduleActions, SchedulePage, TenantAdmin):
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
    list_select_related = ("organisation", "agent")
    actions = ("run_selected", "enable_selected", "disable_selected")
    actions_row = actions_detail = ("run_now", "enable", "disable")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # One row of the index `run_schedule_newest` for each schedule on the page.
        newest = Run.objects.filter(schedule=OuterRef("pk")).order_by("-created_at").values("status")[:1]
        rows: QuerySet[Any] = super().get_queryset(request)
        ranked: QuerySet[Any] = rows.annotate(last_status=Subquery(newest))
        return ranked

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        who: tuple[Any, ...] = ("organisation", ("display_name", "name"), "description")
        when: tuple[Any, ...] = (_TIMING,)
        return [
            (None, {"fields": who if obj else (*who, "enabled")}),
            ("When", {"fields": (*when, "words", "state", "next_fires") if obj else when}),
            ("What", {"fields": ("executor", "agent", "payload")}),
            ("Limits and retries", {"fields": _LIMITS}),
            ("When fires collide or are missed", {"fields": ("overlap", "misfire", "catchup_seconds")}),
            *([("Its runs", {"fields": ("recent_runs", "recent_skips")})] if obj else []),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        page = ("words", "state", "next_fires", "recent_runs", "recent_skips")
        return ("organisation", *page) if obj else ()

    @themed(description="schedule", header=True, ordering="name")
    def titled(self, obj: Schedule) -> tuple[str, str]:
        return unbroken(obj.name), obj.display_name if obj.display_name != obj.name else ""

    @admin.display(description="when", ordering="expression")
    def when(self, obj: Schedule) -> str:
        return rhythm(obj)

    @themed(description="next fire", header=True, ordering="next_run_at")
    def fires_next(self, obj: Schedule) -> tuple[str, str]:
        when, why = next_fire(obj, timezone.now())
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
