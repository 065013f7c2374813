"""A schedule as the API takes it and as it shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from fleet.errors import InvalidInput
from fleet.models import Agent
from schedules import timing
from schedules.api.fields import AgentField, InstantField, JobField, PayloadField, StrictSerializer
from schedules.models import Schedule
from schedules.services.preview import preview_schedule
from schedules.services.schedules import FIELDS
from schedules.timing.parsing import LONGEST_INTERVAL

NEXT_FIRES = 3
_WHEN = ("expression", "interval_seconds", "run_at")


class ScheduleSerializer(serializers.ModelSerializer[Schedule]):
    agent: serializers.SlugRelatedField[Agent] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True, allow_null=True
    )
    run_after: serializers.SlugRelatedField[Schedule] = serializers.SlugRelatedField(
        slug_field="name", read_only=True, allow_null=True, help_text="The job whose end starts it."
    )
    words = serializers.SerializerMethodField(help_text="When it fires, for a reader.")
    next_run_at = serializers.DateTimeField(read_only=True, help_text="The next nominal fire; null while it is paused.")

    class Meta:
        model = Schedule
        fields: tuple[str, ...] = (
            "id",
            "name",
            "display_name",
            "description",
            "kind",
            "expression",
            "words",
            "timezone",
            "next_run_at",
            "last_run_at",
            "enabled",
            "paused_reason",
            "executor",
            "payload",
            "agent",
            "timeout_seconds",
            "max_retries",
            "retry_delays",
            "max_concurrent_runs",
            "overlap",
            "misfire",
            "catchup_seconds",
            "start_within_seconds",
            "jitter_seconds",
            "starts_at",
            "ends_at",
            "max_runs",
            "planned_runs",
            "pause_after_failures",
            "run_after",
            "run_after_on",
            "priority",
            "created_by",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    def get_words(self, schedule: Schedule) -> str:
        return timing.describe(schedule.expression, timezone=schedule.timezone, job_name=schedule.name)


class ScheduleDetailSerializer(ScheduleSerializer):
    next_fires = serializers.SerializerMethodField(help_text="The next three; none while it is disabled.")

    class Meta(ScheduleSerializer.Meta):
        fields = (*ScheduleSerializer.Meta.fields, "next_fires")
        read_only_fields = fields

    def get_next_fires(self, schedule: Schedule) -> list[datetime]:
        if not schedule.enabled or schedule.next_run_at is None:
            return []
        # From the cursor when it lies ahead; one that lies behind is about to be planned.
        after = max(timezone.now(), schedule.next_run_at - timedelta(microseconds=1))
        try:
            return list(preview_schedule(schedule=schedule, after=after, count=NEXT_FIRES).fires.moments)
        except InvalidInput:
            return []


class ScheduleInputSerializer(StrictSerializer):
    """What a person sets. ``interval_seconds`` and ``run_at`` are other ways to write an expression."""

    name = serializers.CharField(required=False, max_length=64, help_text="Left out: the slug of the display name.")
    display_name = serializers.CharField(required=False, max_length=200)
    description = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    expression = serializers.CharField(
        required=False,
        max_length=200,
        help_text="Cron with five or six fields, @manually, @daily, @every 90s, @at 2026-12-01T02:00:00Z.",
    )
    interval_seconds = serializers.IntegerField(
        required=False, write_only=True, min_value=1, max_value=LONGEST_INTERVAL, help_text="As @every."
    )
    run_at = InstantField(required=False, write_only=True, help_text="As @at: once, at this time.")
    timezone = serializers.CharField(required=False, max_length=64, help_text="For example Asia/Shanghai.")
    enabled = serializers.BooleanField(
        required=False, help_text="Only when it is created; afterwards /enable and /disable, which take a reason."
    )
    executor = serializers.CharField(max_length=64)
    payload = PayloadField(required=False)
    agent = AgentField(required=False, allow_null=True)
    timeout_seconds = serializers.IntegerField(required=False)
    max_retries = serializers.IntegerField(required=False, allow_null=True)
    retry_delays = serializers.ListField(child=serializers.IntegerField(), required=False, max_length=100)
    max_concurrent_runs = serializers.IntegerField(required=False)
    overlap = serializers.ChoiceField(Schedule.Overlap.choices, required=False)
    misfire = serializers.ChoiceField(Schedule.Misfire.choices, required=False)
    catchup_seconds = serializers.IntegerField(required=False)
    start_within_seconds = serializers.IntegerField(required=False, allow_null=True, help_text="null: it waits.")
    jitter_seconds = serializers.IntegerField(required=False)
    starts_at = InstantField(required=False, allow_null=True, help_text="No fire before it; null: from now on.")
    ends_at = InstantField(required=False, allow_null=True, help_text="No fire after it; null: it goes on.")
    max_runs = serializers.IntegerField(required=False, allow_null=True, help_text="null: no limit.")
    pause_after_failures = serializers.IntegerField(required=False, allow_null=True, help_text="null: never.")
    run_after = JobField(required=False, allow_null=True, help_text="The name of the job whose end starts it.")
    run_after_on = serializers.ChoiceField(Schedule.After.choices, required=False, help_text="How that job has to end.")
    priority = serializers.IntegerField(required=False)

    def refusal(self, name: str, known: list[str]) -> str:
        if name in ScheduleDetailSerializer.Meta.fields:
            return "This is shown, not set."
        return super().refusal(name, known)

    def to_internal_value(self, data: Any) -> Any:
        if self.instance is not None and not self.partial and isinstance(data, Mapping):
            # PUT: what was read may be sent back whole.
            shown = set(ScheduleDetailSerializer.Meta.fields) - {field.field_name for field in self._writable_fields}
            data = {name: value for name, value in data.items() if name not in shown}
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        self._check_enabled(attrs)
        given = [name for name in _WHEN if name in attrs]
        if len(given) > 1:
            raise serializers.ValidationError({name: [f"Give only one of {', '.join(_WHEN)}."] for name in given})
        if not given and not self.partial:
            raise serializers.ValidationError({"expression": [f"Give one of {', '.join(_WHEN)}; @manually: by hand."]})
        seconds, run_at = attrs.pop("interval_seconds", None), attrs.pop("run_at", None)
        if seconds is not None:
            attrs["expression"] = f"@every {seconds}s"
        if run_at is not None:
            attrs["expression"] = timing.once_rule(run_at).expression
        return attrs

    def _check_enabled(self, attrs: dict[str, Any]) -> None:
        if not isinstance(self.instance, Schedule) or "enabled" not in attrs:
            return
        if attrs.pop("enabled") != self.instance.enabled:
            raise serializers.ValidationError({"enabled": ["Use /enable or /disable: a pause has a reason."]})


class PauseSerializer(StrictSerializer):
    reason = serializers.CharField(
        required=False, allow_blank=True, max_length=200, help_text="Why; shown with the schedule."
    )


class NothingSerializer(StrictSerializer):
    """An action that takes no fields."""

    def refusal(self, name: str, known: list[str]) -> str:  # noqa: ARG002 - one text whatever is known
        return f"There is no field {name!r}; this takes none."


def replacement(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a PUT: what is left out gets its default. A name stays, since addresses hang on it."""
    fields = {name: Schedule._meta.get_field(name) for name in FIELDS}  # noqa: SLF001 - Django's documented API
    kept = {"name", "display_name", "expression", "executor"}
    defaults = {name: field.get_default() for name, field in fields.items() if name not in kept}  # type: ignore[union-attr]
    return {**defaults, **values}
