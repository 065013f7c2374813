"""Runs: read-only, with retry and cancel as actions, and a page that tells what happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html

from fleet.admin.access import actor_of
from fleet.admin.actions import DialogForm, for_each, object_action
from fleet.admin.base import ReadOnlyAdmin
from fleet.admin.filters import AgentFilter, OrganisationFilter
from fleet.admin.marks import link_to, unbroken
from schedules.admin.filters import ExecutorFilter, WaitFilter
from schedules.admin.run_page import RunPage
from schedules.admin.words import distance, duration, span, status_badge, wait_of
from schedules.models import Run
from schedules.services.logs import log_lines
from schedules.services.runs import run_cancel, run_retry

F = TypeVar("F", bound=Callable[..., object])

if TYPE_CHECKING:

    def themed(**_: Any) -> Callable[[F], F]: ...
else:
    from unfold.decorators import display as themed

_SHORT = 80


@admin.register(Run)
class RunAdmin(RunPage, ReadOnlyAdmin):
    resource = "schedules"
    list_display = ("titled", "how", "of_schedule", "tries", "begun", "error")
    list_display_links = ("titled",)
    list_filter = (
        "status",
        WaitFilter,
        "trigger",
        OrganisationFilter,
        ExecutorFilter,
        AgentFilter,
        "created_at",
    )
    search_fields = ("job_run_id", "schedule_name", "error_message", "error_code")
    list_select_related = ("organisation", "schedule", "agent")
    actions = ("retry_selected", "cancel_selected")
    actions_row = actions_detail = ("retry", "cancel")

    def get_custom_urls(self) -> Any:
        return (("<path:object_id>/log/", "schedules_run_log", self.log_view),)

    def log_view(self, request: HttpRequest, object_id: str, model_admin: Any = None) -> HttpResponse:  # noqa: ARG002
        """The whole log as plain text: nothing in it is ever read as markup."""
        run = self.get_object(request, unquote(object_id))
        if run is None:
            raise Http404
        text = "".join(f"{line.at:%Y-%m-%d %H:%M:%S} [{line.attempt}] {line.text}\n" for line in log_lines(run))
        return HttpResponse(text, content_type="text/plain; charset=utf-8")

    @themed(description="run", header=True, ordering="created_at")
    def titled(self, obj: Run) -> tuple[str, str]:
        return unbroken(obj.job_run_id), unbroken(f"planned {distance(obj.created_at, timezone.now())}")

    @admin.display(description="status", ordering="status")
    def how(self, obj: Run) -> str:
        mark, wait = status_badge(obj.status), wait_of(obj, timezone.now())
        return format_html('{}<div class="text-xs">{}</div>', mark, wait) if wait else mark

    @themed(description="schedule, agent", header=True, ordering="schedule_name")
    def of_schedule(self, obj: Run) -> tuple[str, str]:
        return unbroken(link_to(obj.schedule, obj.schedule_name)), unbroken(obj.agent.slug if obj.agent else "")

    @themed(description="trigger, attempt", header=True, ordering="trigger")
    def tries(self, obj: Run) -> tuple[str, str]:
        whole = obj.max_retries + 1 + obj.lost_attempts
        return unbroken(obj.get_trigger_display()), unbroken(f"attempt {obj.attempt} of {whole}")

    @themed(description="started, duration", header=True, ordering="started_at")
    def begun(self, obj: Run) -> tuple[str, str]:
        if obj.started_at is None:
            return "–", ""
        now = timezone.now()
        took = span((now - obj.started_at).total_seconds()) if not obj.is_over else duration(obj.duration_ms)
        return unbroken(distance(obj.started_at, now)), unbroken(f"{obj.started_at:%H:%M:%S} UTC, {took}")

    @admin.display(description="error")
    def error(self, obj: Run) -> str:
        text = obj.error_message or obj.error_code
        return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"

    @object_action(
        verb="run",
        title="Retry",
        icon="replay",
        question="Run it again?",
        says="A new run with the same payload, which names this one. Possible once this one is over.",
    )
    def retry(self, request: HttpRequest, obj: Run, form: DialogForm) -> None:  # noqa: ARG002
        asked = run_retry(run=obj, actor=actor_of(request))
        text = format_html("Retry requested: {}.", link_to(asked.run))
        self.message_user(request, text, messages.SUCCESS)
        if asked.note:
            self.message_user(request, asked.note, messages.WARNING)

    @object_action(
        verb="run",
        title="Cancel run",
        icon="cancel",
        question="Cancel this run?",
        says="At once when it waits; when it runs, its work is ended within seconds.",
    )
    def cancel(self, request: HttpRequest, obj: Run, form: DialogForm) -> None:  # noqa: ARG002
        fresh = run_cancel(run=obj, actor=actor_of(request))
        text = "Cancelled" if fresh.is_over else "Asked to end; it stops within seconds"
        self.message_user(request, f"{text}: {obj}.", messages.SUCCESS)

    @admin.action(description="Retry", permissions=["run"])
    def retry_selected(self, request: HttpRequest, rows: QuerySet[Run]) -> None:
        def act(run: Run) -> str:
            return run_retry(run=run, actor=actor_of(request)).note

        for_each(self, request, rows, done="Retry requested", act=act, allowed=self.has_run_permission)

    @admin.action(description="Cancel", permissions=["run"])
    def cancel_selected(self, request: HttpRequest, rows: QuerySet[Run]) -> None:
        def act(run: Run) -> str:
            run_cancel(run=run, actor=actor_of(request))
            return ""

        for_each(self, request, rows, done="Cancelled or asked to end", act=act, allowed=self.has_run_permission)
