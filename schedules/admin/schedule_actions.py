"""Run now, enable, disable: for one schedule and for many; and the backfill of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminTextInputWidget

from fleet.admin.access import actor_of
from fleet.admin.actions import DialogForm, for_each, object_action
from fleet.admin.marks import link_to
from schedules.admin.backfill_form import BackfillForm
from schedules.admin.words import counted
from schedules.models import Schedule
from schedules.services.backfills import backfill_start
from schedules.services.runs import run_now
from schedules.services.schedules import schedule_disable, schedule_enable

if TYPE_CHECKING:
    from fleet.admin.base import TenantAdmin as _Page
else:
    _Page = object


class DisableForm(DialogForm):
    reason = forms.CharField(
        max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "storage moves until Friday"}),
        help_text="It stands beside the schedule while it is paused.",
    )


class ScheduleActions(_Page):
    @object_action(
        verb="run",
        title="Run now",
        icon="play_arrow",
        question="Run this schedule now?",
        says="It runs once, whatever its timing and whether it is enabled. During an active run it queues.",
    )
    def run_now(self, request: HttpRequest, obj: Schedule, form: DialogForm) -> None:  # noqa: ARG002
        asked = run_now(schedule=obj, actor=actor_of(request))
        self.message_user(request, f"Run requested: {asked.run.job_run_id}.", messages.SUCCESS)
        if asked.note:
            self.message_user(request, asked.note, messages.WARNING)

    @object_action(
        verb="write",
        title="Enable",
        icon="check_circle",
        question="Enable this schedule?",
        says="It fires again from its next time on. Fires that passed while it was off count as paused, not missed.",
    )
    def enable(self, request: HttpRequest, obj: Schedule, form: DialogForm) -> None:  # noqa: ARG002
        if obj.enabled:
            self.message_user(request, f"{obj} is enabled already.", messages.INFO)
            return
        schedule_enable(schedule=obj, actor=actor_of(request))
        self.message_user(request, f"Enabled: {obj}.", messages.SUCCESS)

    @object_action(
        verb="write",
        title="Disable…",
        icon="pause_circle",
        question="Disable this schedule?",
        says="It fires no more. Runs that wait or run go on.",
        form=DisableForm,
    )
    def disable(self, request: HttpRequest, obj: Schedule, form: DialogForm) -> None:
        if not obj.enabled:
            self.message_user(request, f"{obj} is paused already: {obj.paused_reason}", messages.INFO)
            return
        schedule_disable(schedule=obj, actor=actor_of(request), reason=form.cleaned_data["reason"])
        self.message_user(request, f"Disabled: {obj}.", messages.SUCCESS)

    @object_action(
        verb="run",
        title="Backfill…",
        icon="history",
        question="Run fires of the past after all?",
        says="First it shows which these are; nothing is queued before you confirm them.",
        button="Show what it would do",
        form=BackfillForm,
    )
    def backfill(self, request: HttpRequest, obj: Schedule, form: DialogForm) -> None:
        asked = form.cleaned_data
        backfill = backfill_start(
            schedule=obj,
            begin=asked["begin"],
            end=asked["end"],
            only=asked["only"],
            max_concurrent_runs=asked["at_once"],
            actor=actor_of(request),
        )
        text = format_html("Queued {} of the backfill {}.", counted(backfill.planned, "run"), link_to(backfill))
        self.message_user(request, text, messages.SUCCESS)

    @admin.action(description="Run now", permissions=["run"])
    def run_selected(self, request: HttpRequest, rows: QuerySet[Schedule]) -> None:
        def act(schedule: Schedule) -> str:
            return run_now(schedule=schedule, actor=actor_of(request)).note

        for_each(self, request, rows, done="Run requested", act=act, allowed=self.has_run_permission)

    @admin.action(description="Enable", permissions=["change"])
    def enable_selected(self, request: HttpRequest, rows: QuerySet[Schedule]) -> None:
        def act(schedule: Schedule) -> str:
            schedule_enable(schedule=schedule, actor=actor_of(request))
            return ""

        for_each(self, request, rows, done="Enabled", act=act, allowed=self.has_change_permission)

    @admin.action(description="Disable", permissions=["change"])
    def disable_selected(self, request: HttpRequest, rows: QuerySet[Schedule]) -> None:
        actor = actor_of(request)

        def act(schedule: Schedule) -> str:
            schedule_disable(schedule=schedule, actor=actor, reason=f"disabled by {actor.label}")
            return ""

        for_each(self, request, rows, done="Disabled", act=act, allowed=self.has_change_permission)
