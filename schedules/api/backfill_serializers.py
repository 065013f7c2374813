"""A backfill as the API takes it, what it would do, and what was asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

from rest_framework import serializers

from schedules.api.fields import InstantField, StrictSerializer
from schedules.models import Backfill, Schedule
from schedules.services.backfills import BackfillPlan, Only


class BackfillInputSerializer(StrictSerializer):
    """``from`` is a word of Python's, so the two ends are added by hand."""

    dry_run = serializers.BooleanField(help_text="true: only say what it would do; false: do it.")
    only = serializers.ChoiceField(
        get_args(Only), required=False, help_text="Fires without a successful run, without any run, or all of them."
    )
    overlap = serializers.ChoiceField(
        Schedule.Overlap.choices, required=False, help_text="How its own runs stand to each other; queue_all."
    )
    max_concurrent_runs = serializers.IntegerField(
        required=False, min_value=1, max_value=1000, help_text="Its own limit, beside the schedule's; 1."
    )

    def get_fields(self) -> dict[str, Any]:
        ends = {
            "from": InstantField(help_text="The first fire may lie here."),
            "to": InstantField(help_text="The last fire may lie here, not later than now."),
        }
        return ends | super().get_fields()


class BackfillPlanSerializer(serializers.Serializer[BackfillPlan]):
    runs = serializers.SerializerMethodField(help_text="How many runs it would queue.")
    first = serializers.SerializerMethodField(help_text="The first fire that would be run.")
    last = serializers.SerializerMethodField(help_text="The last one.")
    has_run = serializers.IntegerField(help_text="Left out: fires that `only` does not ask for, since they have a run.")
    overlapped = serializers.IntegerField(help_text="Left out: fires that `overlap` does not let through.")

    def get_runs(self, plan: BackfillPlan) -> int:
        return len(plan.fires)

    def get_first(self, plan: BackfillPlan) -> datetime | None:
        return plan.fires[0] if plan.fires else None

    def get_last(self, plan: BackfillPlan) -> datetime | None:
        return plan.fires[-1] if plan.fires else None


class BackfillSerializer(serializers.Serializer[Backfill]):
    id = serializers.SerializerMethodField(help_text="The job_run_id of its runs begins with it.")
    runs = serializers.IntegerField(source="planned", help_text="How many runs it became.")
    max_concurrent_runs = serializers.IntegerField()
    overlap = serializers.ChoiceField(Schedule.Overlap.choices)
    requested_by = serializers.CharField()
    created_at = serializers.DateTimeField()

    def get_fields(self) -> dict[str, Any]:
        ends = {"from": serializers.DateTimeField(source="begin"), "to": serializers.DateTimeField(source="through")}
        return ends | super().get_fields()

    def get_id(self, backfill: Backfill) -> str:
        return f"b{backfill.pk}"
