"""Times in which nothing is started: holidays, nights, a data centre's maintenance."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from fleet.models import Organisation
from schedules.models.schedule import NAME_RULE, Schedule
from schedules.querysets import BlackoutQuerySet


class BlackoutCalendar(models.Model):
    """Windows in a zone of their own. Holds for the schedules named, or for all of its organisation.

    A fire inside a window becomes no run; the ledger says so. What runs already goes on.
    """

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="blackouts")
    name = models.CharField(max_length=64)
    timezone = models.CharField(max_length=64, default="UTC", help_text="For example Asia/Shanghai.")
    windows = models.TextField(
        help_text="One a line: 2026-12-24, 12-24..01-02, sat,sun, mon-fri 22:00-06:00, "
        "2026-12-24T18:00..2026-12-27T08:00."
    )
    for_all = models.BooleanField(default=False, help_text="Holds for every schedule of the organisation.")
    schedules = models.ManyToManyField(Schedule, blank=True, related_name="blackouts")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = BlackoutQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="blackout_name_once_per_organisation"),
            models.CheckConstraint(condition=Q(name__regex=NAME_RULE), name="blackout_name_shape"),
        ]
        ordering = ["organisation", "name"]

    def __str__(self) -> str:
        return self.name
