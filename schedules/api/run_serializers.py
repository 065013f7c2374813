"""A run, its events and its log as the API shows them."""

from __future__ import annotations

from typing import Any, Literal

from django.utils import timezone
from rest_framework import serializers

from fleet.models import Agent
from schedules.models import Run, RunEvent

Wait = Literal["a time", "a slot", "a worker"]


class RunSerializer(serializers.ModelSerializer[Run]):
    schedule = serializers.SerializerMethodField(help_text="Its name; it stays when the schedule is deleted.")
    agent: serializers.SlugRelatedField[Agent] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True, allow_null=True
    )
    retry_of: serializers.SlugRelatedField[Run] = serializers.SlugRelatedField(
        slug_field="job_run_id", read_only=True, allow_null=True
    )
    waiting_for = serializers.SerializerMethodField(help_text="What a queued run waits for.")

    class Meta:
        model = Run
        fields: tuple[str, ...] = (
            "job_run_id",
            "schedule",
            "agent",
            "executor",
            "trigger",
            "status",
            "waiting_for",
            "attempt",
            "fire_at",
            "next_attempt_at",
            "created_at",
            "started_at",
            "finished_at",
            "duration_ms",
            "cancel_requested_at",
            "error_code",
            "error_message",
            "result_summary",
            "result",
            "session_id",
            "message_id",
            "worker",
            "retry_of",
            "requested_by",
        )
        read_only_fields = fields

    def get_schedule(self, run: Run) -> str:
        return run.schedule.name if run.schedule else run.schedule_name

    def get_waiting_for(self, run: Run) -> Wait | None:
        if run.status != Run.Status.QUEUED:
            return None
        if run.admission_token:
            return "a worker"
        # For a reader only, so the web process's clock will do; the engine asks the database's.
        later = run.next_attempt_at is not None and run.next_attempt_at > timezone.now()
        return "a time" if later else "a slot"


class RequestedRunSerializer(RunSerializer):
    note = serializers.SerializerMethodField(help_text="Why it does not start at once; empty when it does.")

    class Meta(RunSerializer.Meta):
        fields = (*RunSerializer.Meta.fields, "note")
        read_only_fields = fields

    def get_note(self, _: Run) -> str:
        return str(self.context.get("note", ""))


class RunEventSerializer(serializers.ModelSerializer[RunEvent]):
    class Meta:
        model = RunEvent
        fields = ("at", "kind", "status", "attempt", "cause", "actor")
        read_only_fields = fields


class LogLineSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    attempt = serializers.IntegerField()
    stream = serializers.ChoiceField(["stdout", "stderr", "system"])
    text = serializers.CharField()


class LogPageSerializer(serializers.Serializer[Any]):
    lines = LogLineSerializer(many=True)
    next = serializers.CharField(help_text="Give it as `after` to go on from here.")
    complete = serializers.BooleanField(help_text="The run is over and this was all.")
