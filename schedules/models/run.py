"""One planned or requested execution: the run, its events and its log. See ``docs/run-lifecycle.md``."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from fleet.models import Agent, Organisation
from schedules.models.backfill import Backfill
from schedules.models.schedule import Schedule
from schedules.querysets import ALONE_WAITING, HOLDS_SLOTS, IS_ACTIVE, RunQuerySet


class Run(models.Model):
    """A run carries all it needs to execute (executor, payload, limits), so that an edit or a deletion of its
    schedule never changes a run that was planned before.

    Behind ``queued`` stand three waits: until ``next_attempt_at``; for a slot (``next_attempt_at`` passed, no
    ``admission_token``); admitted (token set, slots held, a message is out).

    ``status`` is written by ``schedules.engine.lifecycle`` alone.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        SUCCESS = "success", "success"
        FAILED = "failed", "failed"
        TIMEOUT = "timeout", "timed out"
        CANCELLED = "cancelled", "cancelled"
        SKIPPED = "skipped", "skipped"

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", "schedule"
        MANUAL = "manual", "run now"
        RETRY = "retry", "retry by hand"
        EVENT = "event", "event"
        BACKFILL = "backfill", "backfill"

    class Hold(models.TextChoices):
        SHARED = "shared", "beside other runs of its agent"
        EXCLUSIVE = "exclusive", "its agent alone"
        RECOVERY = "recovery", "its agent alone, before others"

    # A run changes four times in its life, and each change writes every index of its row anew: each index here has to
    # serve a query, so the foreign keys bring none of their own.
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="runs", db_index=False)
    schedule = models.ForeignKey(
        Schedule, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs", db_index=False
    )
    agent = models.ForeignKey(
        Agent, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs", db_index=False
    )
    schedule_name = models.CharField(max_length=64, blank=True, help_text="Kept when the schedule is deleted.")
    job_run_id = models.CharField(max_length=80, help_text="The idempotency key handed to every effect.")
    trigger = models.CharField(max_length=16, choices=Trigger.choices)
    backfill = models.ForeignKey(
        Backfill, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs", db_index=False
    )
    retry_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="retries", db_index=False
    )
    requested_by = models.CharField(max_length=150, blank=True)

    executor = models.CharField(max_length=64)
    queue = models.CharField(max_length=32)
    payload = models.JSONField(default=dict, blank=True)
    priority = models.SmallIntegerField(default=5)
    timeout_seconds = models.PositiveIntegerField(default=3600)
    max_retries = models.PositiveSmallIntegerField(default=0)
    retry_delays = models.JSONField(default=list, blank=True)

    hold = models.CharField(max_length=16, choices=Hold.choices, default=Hold.SHARED)
    grace_seconds = models.PositiveIntegerField(
        default=0, help_text="A recovery lets those that hold its agent go on for so long, then cancels them."
    )
    start_by = models.DateTimeField(null=True, blank=True, help_text="Skipped when it could not start until then.")

    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    attempt = models.PositiveIntegerField(default=1, help_text="The attempt that runs, or comes next.")
    failed_attempts = models.PositiveSmallIntegerField(default=0)
    lost_attempts = models.PositiveSmallIntegerField(default=0)
    fire_at = models.DateTimeField(null=True, blank=True, help_text="The nominal fire; empty for a run by hand.")
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    admission_token = models.CharField(max_length=32, blank=True)
    admitted_at = models.DateTimeField(null=True, blank=True)
    claim_token = models.CharField(max_length=32, blank=True)
    heartbeat_sequence = models.BigIntegerField(default=0)
    worker = models.CharField(max_length=200, blank=True)
    handle = models.JSONField(
        default=dict, blank=True, help_text="What the next attempt needs to end the outside work of this one."
    )
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    ending = models.CharField(
        max_length=16, blank=True, help_text="Set when the next claim only reaps, then ends the run so."
    )

    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.BigIntegerField(null=True, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    result_summary = models.TextField(blank=True)
    result = models.JSONField(default=dict, blank=True)
    session_id = models.CharField(max_length=200, blank=True)
    message_id = models.CharField(max_length=200, blank=True)
    log_bytes = models.BigIntegerField(default=0)

    objects = RunQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job_run_id"], name="run_once"),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running", "success", "failed", "timeout", "cancelled", "skipped"]),
                name="run_status_known",
            ),
            models.CheckConstraint(
                condition=Q(trigger__in=["schedule", "manual", "retry", "event", "backfill"]),
                name="run_trigger_known",
            ),
            models.CheckConstraint(condition=Q(hold__in=["shared", "exclusive", "recovery"]), name="run_hold_known"),
            # At most one claim token of a run is valid, and only while it runs.
            models.CheckConstraint(condition=Q(status="running") ^ Q(claim_token=""), name="run_claimed_iff_running"),
            models.CheckConstraint(
                condition=Q(status="queued") | Q(admission_token=""), name="run_admitted_only_queued"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running"]) ^ Q(finished_at__isnull=False),
                name="run_finished_iff_terminal",
            ),
            models.CheckConstraint(
                condition=~Q(status="queued") | Q(next_attempt_at__isnull=False), name="run_queued_has_time"
            ),
        ]
        indexes = [
            # serves: the runs of a schedule, newest first (seed 004)
            models.Index(fields=["schedule", "-created_at"], name="run_schedule_newest"),
            # serves: the runs of an organisation, newest first
            models.Index(fields=["organisation", "-created_at"], name="run_organisation_newest"),
            # serves: the runs of an agent, of a backfill, the retries of a run; and deleting one of those
            models.Index(fields=["agent", "-created_at"], condition=Q(agent__isnull=False), name="run_agent_newest"),
            models.Index(fields=["backfill"], condition=Q(backfill__isnull=False), name="run_of_backfill"),
            models.Index(fields=["retry_of"], condition=Q(retry_of__isnull=False), name="run_retry_of"),
            # serves: admission's candidates, the oldest and the most urgent
            models.Index(
                fields=["organisation", "next_attempt_at"],
                condition=Q(status="queued", admission_token=""),
                name="run_waiting",
            ),
            models.Index(
                fields=["organisation", "-priority", "next_attempt_at"],
                condition=Q(status="queued", admission_token=""),
                name="run_waiting_urgent",
            ),
            # serves: who holds slots now
            models.Index(fields=["organisation"], condition=HOLDS_SLOTS, name="run_holding"),
            # serves: the admitted but unclaimed, per queue; and their republishing
            models.Index(
                fields=["queue", "admitted_at"],
                condition=Q(status="queued") & ~Q(admission_token=""),
                name="run_admitted",
            ),
            # serves: whom a waiting exclusive bars
            models.Index(
                fields=["agent", "next_attempt_at"],
                condition=ALONE_WAITING,
                name="run_exclusive_waiting",
            ),
            # serves: overlap: what is not over yet
            models.Index(fields=["schedule", "status"], condition=IS_ACTIVE, name="run_active"),
        ]
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.job_run_id

    @property
    def organisation_limit(self) -> int:
        return self.organisation.max_concurrent_runs

    @property
    def schedule_limit(self) -> int | None:
        return self.schedule.max_concurrent_runs if self.schedule else None

    @property
    def backfill_limit(self) -> int | None:
        return self.backfill.max_concurrent_runs if self.backfill else None

    @property
    def agent_limit(self) -> int | None:
        return self.agent.max_concurrent_runs if self.agent else None

    @property
    def is_over(self) -> bool:
        return self.status not in {self.Status.QUEUED, self.Status.RUNNING}

    @property
    def task_id(self) -> str:
        """The Celery task id of the present attempt: the same however often it is published."""
        return f"{self.job_run_id}.{self.attempt}"


class RunEvent(models.Model):
    """One edge of a run's life with its cause. Appended in the transaction of the edge."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=32)
    status = models.CharField(max_length=16)
    attempt = models.PositiveIntegerField()
    cause = models.CharField(max_length=500, blank=True)
    actor = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.kind}: {self.cause}" if self.cause else self.kind


class RunLogChunk(models.Model):
    """Consecutive lines of an attempt's log: ``[[milliseconds since the epoch, stream, text], …]``."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="log_chunks")
    attempt = models.PositiveIntegerField()
    number = models.PositiveIntegerField()
    lines = models.JSONField()

    class Meta:
        constraints = [
            # A chunk that is written again after a broken connection stays one chunk.
            models.UniqueConstraint(fields=["run", "attempt", "number"], name="run_log_chunk_once"),
        ]
        ordering = ["run", "attempt", "number"]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.attempt}/{self.number}"
