"""The engine's own rows: who leads, which workers there are, and what happened to the engine as a whole."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class EngineLease(models.Model):
    """A named right that one process holds at a time, until ``expires_at`` on the database's clock."""

    name = models.CharField(max_length=32, primary_key=True)
    holder = models.CharField(max_length=200, blank=True)
    expires_at = models.DateTimeField()
    renewed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"


class WorkerProcess(models.Model):
    """A worker that reports itself every few seconds."""

    name = models.CharField(max_length=200, primary_key=True)
    queues = models.JSONField(default=list)
    slots = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    at_work = models.PositiveIntegerField(default=0, help_text="How many runs and tasks it works on.")
    drains_since = models.DateTimeField(
        null=True, blank=True, help_text="It takes no new work since then, and ends when it is done."
    )

    def __str__(self) -> str:
        return self.name


class EngineEvent(models.Model):
    """What happened to the engine as a whole, for whoever asks later: a take-over, slots written anew.

    What happened to one run is a ``RunEvent``.
    """

    class Kind(models.TextChoices):
        LEADER = "leader", "another beat leads"
        SLOTS_REBUILT = "slots_rebuilt", "the slots were rebuilt from the database"
        SLOTS_MENDED = "slots_mended", "slots were brought in line with the database"

    at = models.DateTimeField()
    kind = models.CharField(max_length=32, choices=Kind.choices)
    detail = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["leader", "slots_rebuilt", "slots_mended"]), name="engine_event_kind_known"
            ),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.detail}" if self.detail else str(self.get_kind_display())
