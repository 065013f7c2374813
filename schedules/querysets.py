"""Reads of schedules and runs that are more than one line."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import OuterRef, Q, Subquery

if TYPE_CHECKING:
    from fleet.models import Organisation
    from schedules.models import BlackoutCalendar, Run, Schedule, SkipSpan  # noqa: F401 - named in strings

ACTIVE = ("queued", "running")
# Not over; a constraint of the table holds it equal to its status. It is the condition of the index of such runs, which
# therefore serves nobody who asks for a status: PostgreSQL, whose statistics were made when nothing waited, would take
# any index for as good as another, and read all that is active instead of the few rows that are asked for.
IS_ACTIVE = Q(finished_at__isnull=True)

# A run holds its slots while it runs, while it is admitted, and after its worker was lost until the next attempt
# has reaped what that worker left outside.
HOLDS_SLOTS = Q(status__in=ACTIVE) & (Q(status="running") | ~Q(admission_token="") | ~Q(handle={}))

# It needs its agent for itself.
ALONE = Q(hold__in=["exclusive", "recovery"])
# The waiting ones among them. Queued is written so that no other index of waiting runs serves (see ``IS_ACTIVE``).
ALONE_WAITING = ALONE & Q(status__gte="queued", status__lte="queued", admission_token="")


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    def of(self, organisation: Organisation) -> Self:
        return self.filter(organisation=organisation)

    def due(self, now: datetime) -> Self:
        """Enabled schedules whose cursor has passed, the longest overdue first."""
        return self.filter(enabled=True, next_run_at__lte=now, organisation__is_active=True).order_by("next_run_at")

    def search(self, text: str) -> Self:
        """Those whose name, display name or description holds the text."""
        return self.filter(Q(name__icontains=text) | Q(display_name__icontains=text) | Q(description__icontains=text))

    def last_runs(self) -> dict[int, Run]:
        """The newest run of each of these schedules, by the schedule's primary key: an index look-up each."""
        from schedules.models import Run  # noqa: PLC0415 - models are defined with these querysets

        newest = Run.objects.filter(schedule=OuterRef("pk")).order_by("-created_at").values("pk")[:1]
        runs = Run.objects.filter(pk__in=self.order_by().annotate(newest=Subquery(newest)).values("newest"))
        return {run.schedule_id: run for run in runs if run.schedule_id is not None}


class RunQuerySet(models.QuerySet["Run"]):
    def of(self, organisation: Organisation) -> Self:
        return self.filter(organisation=organisation)

    def active(self) -> Self:
        return self.filter(IS_ACTIVE)

    def waiting(self, now: datetime) -> Self:
        """Queued, its time has come, no slot yet; of organisations that are open."""
        return self.filter(status="queued", admission_token="", next_attempt_at__lte=now, organisation__is_active=True)

    def with_limits(self) -> Self:
        """With all that limits them (``slots.scopes_of``), in one statement."""
        return self.select_related("organisation", "schedule", "backfill", "agent")

    def admitted(self) -> Self:
        """Holding slots with a message out, not yet claimed."""
        return self.filter(status="queued").exclude(admission_token="")

    def holding_slots(self) -> Self:
        return self.filter(HOLDS_SLOTS)


class SkipSpanQuerySet(models.QuerySet["SkipSpan"]):
    def of(self, schedule: Schedule) -> Self:
        return self.filter(schedule=schedule)


class BlackoutQuerySet(models.QuerySet["BlackoutCalendar"]):
    def of(self, organisation: Organisation) -> Self:
        return self.filter(organisation=organisation)

    def holding_for(self, schedule: Schedule) -> Self:
        """Those that hold for this schedule: its own and its organisation's."""
        for_all = Q(for_all=True, organisation=schedule.organisation_id)
        return self.filter(for_all | Q(schedules=schedule)).distinct()
