"""What should happen when: the schedule."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from fleet.models import Agent, Organisation
from schedules.querysets import ScheduleQuerySet

NAME_RULE = r"^[a-z0-9][a-z0-9_-]*$"


class Schedule(models.Model):
    """A standing order: when, what, for which agent, under which limits and policies.

    Every expected fire through ``planned_through`` is covered by a run or a skip span. ``next_run_at`` is the first
    one after it (UTC, nominal, never jittered), empty when there is none. The planner advances both by
    compare-and-set on ``version``, which every edit raises.
    """

    class Kind(models.TextChoices):
        MANUAL = "manual", "only by hand"
        CRON = "cron", "cron"
        INTERVAL = "interval", "interval"
        ONCE = "once", "once"

    class Overlap(models.TextChoices):
        SKIP = "skip", "skip the fire while a run is active"
        QUEUE_ONE = "queue_one", "let one run wait"
        QUEUE_ALL = "queue_all", "let every run wait"
        CANCEL_RUNNING = "cancel_running", "cancel the active run"

    class After(models.TextChoices):
        SUCCESS = "success", "when it succeeded"
        FAILURE = "failure", "when it failed or timed out"
        ALWAYS = "always", "however it ended"

    class Misfire(models.TextChoices):
        RUN_LATEST = "run_latest", "run the latest missed fire"
        SKIP = "skip", "skip missed fires"
        RUN_ALL = "run_all", "run every missed fire"

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="schedules")
    agent = models.ForeignKey(Agent, null=True, blank=True, on_delete=models.PROTECT, related_name="schedules")
    name = models.CharField(max_length=64)
    display_name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=16, choices=Kind.choices, editable=False)
    expression = models.CharField(
        max_length=200,
        default="@manually",
        help_text="Cron with five or six fields (0 2 * * *), @manually, @daily, @every 90s, @at 2026-12-01T02:00:00Z.",
    )
    timezone = models.CharField(max_length=64, default="UTC", help_text="For example Asia/Shanghai.")
    anchor_at = models.DateTimeField(editable=False, help_text="An interval counts elapsed time from here.")
    executor = models.CharField(max_length=64)
    payload = models.JSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    paused_reason = models.CharField(max_length=200, blank=True)
    timeout_seconds = models.PositiveIntegerField(default=3600, help_text="An attempt is ended after so long.")
    max_retries = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Empty: what the executor itself recommends."
    )
    retry_delays = models.JSONField(
        default=list, blank=True, help_text="Seconds before each retry; empty: 30, 60, 300, 900, 3600."
    )
    max_concurrent_runs = models.PositiveIntegerField(default=1, help_text="How many of its runs may run at once.")
    overlap = models.CharField(max_length=16, choices=Overlap.choices, default=Overlap.SKIP)
    misfire = models.CharField(max_length=16, choices=Misfire.choices, default=Misfire.RUN_LATEST)
    catchup_seconds = models.PositiveIntegerField(
        default=900, help_text="Missed fires older than this are never made up."
    )
    jitter_seconds = models.PositiveIntegerField(
        default=0, help_text="Each fire is put off by up to so long, never to the next one."
    )
    start_within_seconds = models.PositiveIntegerField(
        null=True, blank=True, help_text="A fire that could not start within so long is skipped; empty: it waits."
    )
    starts_at = models.DateTimeField(null=True, blank=True, help_text="No fire before this instant.")
    ends_at = models.DateTimeField(null=True, blank=True, help_text="No fire after this instant.")
    max_runs = models.PositiveIntegerField(
        null=True, blank=True, help_text="It ends after so many planned runs; empty: never."
    )
    pause_after_failures = models.PositiveIntegerField(
        null=True, blank=True, help_text="It is paused after so many failed runs in a row; empty: never."
    )
    run_after = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="followers",
        help_text="Run when a run of this schedule ends.",
    )
    run_after_on = models.CharField(max_length=16, choices=After.choices, default=After.SUCCESS)
    priority = models.SmallIntegerField(
        default=5,
        validators=[MinValueValidator(0), MaxValueValidator(9)],
        help_text="0 to 9; higher goes first.",
    )
    planned_through = models.DateTimeField(editable=False, help_text="Every fire until here is accounted for.")
    planned_runs = models.PositiveIntegerField(default=0, editable=False, help_text="Fires that became runs.")
    resumed_at = models.DateTimeField(editable=False, help_text="Failures before this do not pause it again.")
    zone_data = models.CharField(max_length=32, blank=True, editable=False, help_text="tzdata of the next fire.")
    next_run_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_run_at = models.DateTimeField(null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_by = models.CharField(max_length=150, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="schedule_name_once_per_organisation"),
            models.CheckConstraint(condition=Q(name__regex=NAME_RULE), name="schedule_name_shape"),
            models.CheckConstraint(
                condition=Q(kind__in=["manual", "cron", "interval", "once"]), name="schedule_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(overlap__in=["skip", "queue_one", "queue_all", "cancel_running"]),
                name="schedule_overlap_known",
            ),
            models.CheckConstraint(
                condition=Q(misfire__in=["run_latest", "skip", "run_all"]), name="schedule_misfire_known"
            ),
            models.CheckConstraint(
                condition=~Q(kind="manual") | Q(next_run_at=None), name="schedule_manual_never_fires"
            ),
            models.CheckConstraint(
                condition=Q(next_run_at=None) | Q(next_run_at__gt=F("planned_through")),
                name="schedule_next_after_planned",
            ),
            models.CheckConstraint(
                condition=Q(run_after_on__in=["success", "failure", "always"]), name="schedule_run_after_known"
            ),
            models.CheckConstraint(condition=Q(max_concurrent_runs__gte=1), name="schedule_limit_at_least_one"),
            models.CheckConstraint(condition=Q(timeout_seconds__gte=1), name="schedule_timeout_at_least_one"),
            models.CheckConstraint(condition=Q(priority__range=(0, 9)), name="schedule_priority_range"),
        ]
        indexes = [
            # serves: an organisation's schedules by state and next fire (seed 004)
            models.Index(fields=["organisation", "enabled", "next_run_at"], name="schedule_org_enabled_next"),
            # serves: whom the end of a run starts
            models.Index(fields=["run_after"], condition=Q(run_after__isnull=False), name="schedule_followers"),
            # serves: the planner's "what is due", over all organisations
            models.Index(F("next_run_at"), condition=Q(enabled=True), name="schedule_due"),
        ]
        ordering = ["organisation", "name"]

    def __str__(self) -> str:
        return self.name
