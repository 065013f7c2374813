"""The engine's own rows: who leads, and which workers there are."""

from __future__ import annotations

from django.db import models


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

    def __str__(self) -> str:
        return self.name
