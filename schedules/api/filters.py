"""What lists can be narrowed to."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django_filters import rest_framework as filters

from schedules.models import Run, Schedule
from schedules.querysets import RunQuerySet, ScheduleQuerySet


class ScheduleFilter(filters.FilterSet):  # type: ignore[misc] # the library carries no types
    # The framework's own boolean filter takes `enabled=flase` for "no filter".
    enabled = filters.ChoiceFilter(choices=[("true", "true"), ("false", "false")], method="by_enabled")
    kind = filters.MultipleChoiceFilter(choices=Schedule.Kind.choices)
    agent = filters.CharFilter(field_name="agent__slug", label="The agent's slug.")
    executor = filters.CharFilter()
    q = filters.CharFilter(method="by_text", label="Text in the name, the display name or the description.")

    class Meta:
        model = Schedule
        fields: list[str] = []

    def by_enabled(self, rows: ScheduleQuerySet, _: str, value: str) -> ScheduleQuerySet:
        return rows.filter(enabled=value == "true")

    def by_text(self, rows: ScheduleQuerySet, _: str, value: str) -> ScheduleQuerySet:
        return rows.search(value)


class RunFilter(filters.FilterSet):  # type: ignore[misc] # the library carries no types
    status = filters.MultipleChoiceFilter(choices=Run.Status.choices)
    trigger = filters.MultipleChoiceFilter(choices=Run.Trigger.choices)
    agent = filters.CharFilter(field_name="agent__slug", label="The agent's slug.")
    schedule = filters.CharFilter(method="by_schedule", label="The schedule's name, also of a deleted one.")

    class Meta:
        model = Run
        fields: list[str] = []

    def by_schedule(self, rows: RunQuerySet, _: str, value: str) -> Any:
        return rows.filter(Q(schedule__name=value) | Q(schedule=None, schedule_name=value))
