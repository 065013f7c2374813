"""A blackout calendar as the API takes it and as it shows it."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from schedules import timing
from schedules.api.fields import StrictSerializer
from schedules.models import BlackoutCalendar, Schedule
from schedules.services.blackouts import blackout_next
from schedules.words import windows_words


class WindowSerializer(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    text = serializers.CharField(help_text="The line that says so.")


class BlackoutSerializer(serializers.ModelSerializer[BlackoutCalendar]):
    windows = serializers.SerializerMethodField(help_text="A line each, comments included.")
    words = serializers.SerializerMethodField(help_text="Each window for a reader.")
    next = serializers.SerializerMethodField(help_text="The window that holds now, else the next one.")
    schedules: serializers.SlugRelatedField[Schedule] = serializers.SlugRelatedField(
        slug_field="name", many=True, read_only=True, help_text="The jobs it holds for, unless it holds for all."
    )

    class Meta:
        model = BlackoutCalendar
        fields: tuple[str, ...] = (
            "id",
            "name",
            "timezone",
            "windows",
            "words",
            "next",
            "for_all",
            "schedules",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    def get_windows(self, calendar: BlackoutCalendar) -> list[str]:
        return calendar.windows.splitlines()

    def get_words(self, calendar: BlackoutCalendar) -> list[str]:
        return windows_words(calendar)

    @extend_schema_field(WindowSerializer(allow_null=True))
    def get_next(self, calendar: BlackoutCalendar) -> dict[str, Any] | None:
        window: timing.Window | None = blackout_next(calendar, timezone.now())
        return dict(WindowSerializer(window).data) if window else None


class BlackoutInputSerializer(StrictSerializer):
    name = serializers.CharField(max_length=64)
    windows = serializers.ListField(
        child=serializers.CharField(max_length=500, allow_blank=True),
        max_length=1000,
        help_text="2026-12-24; 2026-12-24..2026-12-26; 12-24..01-02; sat,sun; mon-fri 22:00-06:00; "
        "2026-12-24T18:00..2026-12-27T08:00. After # comes a comment.",
    )
    timezone = serializers.CharField(required=False, max_length=64, help_text="For example Asia/Shanghai; UTC.")
    for_all = serializers.BooleanField(required=False, help_text="Holds for every job, also for those to come.")
    schedules = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, max_length=1000, help_text="Names of jobs."
    )

    def refusal(self, name: str, known: list[str]) -> str:
        if name in BlackoutSerializer.Meta.fields:
            return "This is shown, not set."
        return super().refusal(name, known)

    def validate_windows(self, lines: list[str]) -> str:
        return "\n".join(lines)

    def validate_schedules(self, names: list[str]) -> list[Schedule]:
        own = Schedule.objects.of(self.context["view"].caller.organisation)
        rows = {each.name: each for each in own.filter(name__in=names)}
        if missing := [name for name in names if name not in rows]:
            raise serializers.ValidationError([f"There is no job {name!r} in your organisation." for name in missing])
        return list(rows.values())
