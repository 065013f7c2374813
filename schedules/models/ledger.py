"""The ledger: what became of the fires that are no runs, and which rule made a fire expected."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from schedules.models.schedule import Schedule
from schedules.querysets import SkipSpanQuerySet


class SkipSpan(models.Model):
    """Expected fires that became no run: from the first to the last, how many, and why.

    An open span (no last fire, no count) covers every fire from its first on: the schedule is paused, or at its end.
    It is closed when that changes, or deleted when no fire has passed meanwhile.

    ``pruned`` covers, from the first fire on, the runs and spans that housekeeping removed: one such span a schedule.
    """

    class Reason(models.TextChoices):
        OVERLAP = "overlap", "an earlier run was still active"
        MISFIRE = "misfire", "missed while the watch was down"
        BLACKOUT = "blackout", "inside a blackout"
        LIMIT = "limit", "the maximum number of runs was reached"
        PAUSED = "paused", "the schedule was paused"
        ENDED = "ended", "past the end date"
        DAMAGED = "damaged", "the schedule could not be read"
        PRUNED = "pruned", "what became of it is no longer kept"

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="skip_spans")
    reason = models.CharField(max_length=16, choices=Reason.choices)
    detail = models.CharField(max_length=200, blank=True)
    first_fire_at = models.DateTimeField()
    last_fire_at = models.DateTimeField(null=True, blank=True)
    count = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SkipSpanQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["schedule", "first_fire_at"], name="skip_span_first_fire_once"),
            models.UniqueConstraint(fields=["schedule"], condition=Q(last_fire_at=None), name="skip_span_open_once"),
            models.CheckConstraint(
                condition=Q(last_fire_at=None, count=None) | Q(last_fire_at__isnull=False, count__isnull=False),
                name="skip_span_open_or_counted",
            ),
            models.CheckConstraint(condition=Q(count=None) | Q(count__gte=1), name="skip_span_not_empty"),
            models.CheckConstraint(
                condition=Q(last_fire_at=None) | Q(last_fire_at__gte=F("first_fire_at")), name="skip_span_runs_forward"
            ),
            models.CheckConstraint(
                condition=Q(
                    reason__in=["overlap", "misfire", "blackout", "limit", "paused", "ended", "damaged", "pruned"]
                ),
                name="skip_span_reason_known",
            ),
        ]
        ordering = ["schedule", "-first_fire_at"]

    def __str__(self) -> str:
        count = "open" if self.count is None else str(self.count)
        return f"{count} x {self.reason} from {self.first_fire_at:%Y-%m-%d %H:%M:%S}"


class ScheduleRevision(models.Model):
    """The timing of a schedule as it was: it says which fires after ``since`` were expected, until the next one.

    Written with every change of the timing, so that "why did it not run in March?" is answered by March's rule.
    """

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="revisions")
    since = models.DateTimeField(help_text="Fires after this instant followed this timing.")
    expression = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64)
    name = models.CharField(max_length=64, help_text="~ hashes it.")
    anchor_at = models.DateTimeField()
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    zone_data = models.CharField(max_length=32, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["schedule", "since"], name="schedule_revision_once"),
        ]
        ordering = ["schedule", "since"]

    def __str__(self) -> str:
        return f"{self.expression} since {self.since:%Y-%m-%d %H:%M:%S}"
