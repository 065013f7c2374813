"""Fires of the past that a person asked to be run after all."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from schedules.models.schedule import Schedule


class Backfill(models.Model):
    """One request: the fires of (``after``, ``through``] become runs, at most ``max_concurrent_runs`` at once.

    Its runs count for this limit instead of the schedule's own, and for those of organisation and agent.
    """

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="backfills")
    after = models.DateTimeField()
    through = models.DateTimeField()
    max_concurrent_runs = models.PositiveIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(1000)]
    )
    overlap = models.CharField(max_length=16, choices=Schedule.Overlap.choices, default=Schedule.Overlap.QUEUE_ALL)
    planned = models.PositiveIntegerField(help_text="How many runs it became.")
    requested_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(through__gt=F("after")), name="backfill_runs_forward"),
            models.CheckConstraint(condition=Q(max_concurrent_runs__gte=1), name="backfill_limit_at_least_one"),
            models.CheckConstraint(
                condition=Q(overlap__in=["skip", "queue_one", "queue_all", "cancel_running"]),
                name="backfill_overlap_known",
            ),
        ]
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.schedule}: {self.begin:%Y-%m-%d %H:%M} to {self.through:%Y-%m-%d %H:%M}"

    @property
    def begin(self) -> datetime:
        """The first instant of the range, as it was asked for: ``after`` is the last one before it."""
        return self.after + timedelta(microseconds=1)
