"""Alerts: what is wrong now, and what was."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from fleet.models import Organisation

SEVERITIES = ("info", "warning", "critical")


class Alert(models.Model):
    """One thing that is wrong, from its raising to its resolving. While open it is one row, however often raised."""

    organisation = models.ForeignKey(Organisation, null=True, blank=True, on_delete=models.PROTECT)
    key = models.CharField(max_length=200, help_text="What is wrong, machine-readable: backup.failed:agent-1")
    severity = models.CharField(max_length=16, choices=[(each, each) for each in SEVERITIES])
    title = models.CharField(max_length=200)
    detail = models.TextField(blank=True)
    count = models.PositiveIntegerField(default=1)
    raised_at = models.DateTimeField()
    last_raised_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "key"], condition=Q(resolved_at=None), name="alert_open_once"
            ),
            # SQLite has no NULLS NOT DISTINCT: the alerts of the whole watch need a constraint of their own.
            models.UniqueConstraint(
                fields=["key"], condition=Q(resolved_at=None, organisation=None), name="alert_open_once_global"
            ),
        ]
        # serves: the open alerts of an organisation
        indexes = [models.Index(fields=["organisation", "resolved_at", "-raised_at"], name="alert_open_newest")]
        ordering = ["-raised_at"]

    def __str__(self) -> str:
        return self.title


class Notification(models.Model):
    """A message to people, recorded in the transaction of its cause; the operations issue delivers it."""

    organisation = models.ForeignKey(Organisation, null=True, blank=True, on_delete=models.PROTECT)
    alert = models.ForeignKey(Alert, null=True, blank=True, on_delete=models.CASCADE, related_name="notifications")
    title = models.CharField(max_length=200)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.title
