"""The ledger and the answer to "why?" as the API takes the questions and shows the answers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from schedules.api.fields import AskedInstantField, StrictSerializer
from schedules.models import SkipSpan
from schedules.services.ledger import Entry
from schedules.services.why import Answer

LONGEST_PAGE = 500


class LedgerQuerySerializer(StrictSerializer):
    after = AskedInstantField(required=False, help_text="Fires later than this; a week before the end, unless given.")
    through = AskedInstantField(required=False, help_text="Fires until this one, included; now, unless given.")
    page_size = serializers.IntegerField(required=False, min_value=1, max_value=LONGEST_PAGE, default=50)


class WhyQuerySerializer(StrictSerializer):
    at = AskedInstantField(required=False, help_text="A fire's time; left out: how it stands now.")


class EntrySerializer(serializers.Serializer[Entry]):
    first = serializers.DateTimeField()
    last = serializers.DateTimeField(help_text="Of a record that is open: the last fire of it until now.")
    count = serializers.IntegerField()
    reason = serializers.ChoiceField(["ran", *SkipSpan.Reason.values], help_text="`ran`: it became a run.")
    detail = serializers.SerializerMethodField()
    open = serializers.SerializerMethodField(help_text="It covers every fire to come, until that changes.")
    run = serializers.SerializerMethodField(help_text="The run that the fire became.")
    status = serializers.SerializerMethodField(help_text="That run's status.")

    def get_detail(self, entry: Entry) -> str:
        return entry.span.detail if entry.span else ""

    def get_open(self, entry: Entry) -> bool:
        return entry.span is not None and entry.span.last_fire_at is None

    def get_run(self, entry: Entry) -> str | None:
        return entry.run.job_run_id if entry.run else None

    def get_status(self, entry: Entry) -> str | None:
        return entry.run.status if entry.run else None


class AuditSerializer(serializers.Serializer[Any]):
    expected = serializers.IntegerField(help_text="How many fires were expected.")
    is_clean = serializers.BooleanField(help_text="Each of them is covered by exactly one record.")
    holes = serializers.ListField(child=serializers.DateTimeField(), help_text="Fires without a record.")
    doubles = serializers.ListField(child=serializers.DateTimeField(), help_text="Fires with several records.")
    strays = serializers.ListField(child=serializers.DateTimeField(), help_text="Records of fires nobody expected.")


class LedgerPageSerializer(serializers.Serializer[Any]):
    after = serializers.DateTimeField()
    through = serializers.DateTimeField()
    results = EntrySerializer(many=True, source="entries")
    next = serializers.SerializerMethodField(help_text="The address of the older records; null when these are all.")
    audit = AuditSerializer(allow_null=True, help_text="The verdict on the range; null when it is too long for one.")
    unchecked = serializers.CharField(help_text="Why there is no verdict, or what it leaves out; mostly empty.")

    def get_next(self, _: Any) -> str | None:
        address: str | None = self.context["next"]
        return address


class AnswerSerializer(serializers.Serializer[Answer]):
    reason = serializers.CharField(
        help_text="`ran`, a skip span's reason, `to_come`, `late`, `not_expected`, or `none`: no fire at all."
    )
    headline = serializers.CharField()
    details = serializers.ListField(child=serializers.CharField())
    fire = serializers.DateTimeField(allow_null=True, help_text="The expected fire that it speaks of.")
    run = serializers.SerializerMethodField(help_text="The run that it became.")

    def get_run(self, answer: Answer) -> str | None:
        return answer.run.job_run_id if answer.run else None
