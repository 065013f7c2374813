"""The dialog of a backfill: it shows first what it would do, and only then offers to do it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from fleet.admin.actions import DialogForm
from fleet.errors import InvalidInput
from schedules.admin.instants import InstantField, in_zone_of, typed
from schedules.admin.words import clock, counted
from schedules.engine.clock import database_now
from schedules.services.backfills import BackfillPlan, Only, backfill_plan

_ONLY = {
    "unsuccessful": "fires without a run that succeeded or is under way",
    "missing": "fires without any run",
    "all": "every fire, also those that succeeded",
}
_FIELDS = {"from": "begin", "to": "end", "only": "only"}
_CONFIRM = (
    '<button type="submit" name="confirmed" value="{}" class="bg-primary-600 cursor-pointer font-medium mt-3 px-3 py-2 '
    'rounded-default text-white">{}</button>'
)


class BackfillForm(DialogForm):
    """Not valid before its very plan was seen: whoever presses the second button has read what it does."""

    begin = InstantField(label="From")
    end = InstantField(label="To", ends=True, help_text="Both ends are included.")
    only = forms.ChoiceField(label="Only", choices=list(_ONLY.items()), widget=UnfoldAdminSelectWidget())
    at_once = forms.IntegerField(
        label="At once",
        min_value=1,
        max_value=1000,
        initial=1,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="Its own limit, beside the schedule's.",
    )
    plan: BackfillPlan | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        in_zone_of(self, self.subject.timezone)
        now = database_now().replace(microsecond=0)
        self.initial = {
            "begin": typed(now - timedelta(days=1), self.subject.timezone),
            "end": typed(now, self.subject.timezone),
        }

    def is_valid(self) -> bool:
        return super().is_valid() and self.data.get("confirmed") == self._mark()

    def clean(self) -> dict[str, Any]:
        asked = self.cleaned_data
        if {"begin", "end", "only"} <= asked.keys():
            self._look(asked["begin"], asked["end"], asked["only"])
        return asked

    def render_after_template(self) -> SafeString:
        if self.plan is None or self.errors:
            return SafeString("")
        return format_html('<div class="mt-4" role="status" id="backfill-plan">{}</div>', self._shown(self.plan))

    def _look(self, begin: datetime, end: datetime, only: Only) -> None:
        if end > database_now():
            self.add_error("end", "It lies in the future: those fires run by themselves. Name a time until now.")
            return
        try:
            self.plan = backfill_plan(schedule=self.subject, begin=begin, end=end, only=only)
        except InvalidInput as refusal:
            self.add_error(_FIELDS.get(refusal.field), refusal.message)

    def _mark(self) -> str:
        """What was seen: another range, another choice or another number of fires is another plan."""
        fires = len(self.plan.fires) if self.plan else 0
        names = ("begin", "end", "only", "at_once")
        return "|".join([*(str(self.cleaned_data.get(name)) for name in names), str(fires)])

    def _shown(self, plan: BackfillPlan) -> SafeString:
        left_out = f" Left out: {counted(plan.has_run, 'fire')} with a run." if plan.has_run else ""
        if not plan.fires:
            return format_html("<p>No fire is to be made up in this range.{}</p>", left_out)
        zone, count = self.subject.timezone, counted(len(plan.fires), "run")
        first, last = clock(plan.fires[0], zone), clock(plan.fires[-1], zone)
        which = first if first == last else f"the first of {first}, the last of {last}"
        text = f"{count} would be queued, {self.cleaned_data['at_once']} at once: {which}.{left_out}"
        return format_html("<p>{}</p>{}", text, format_html(_CONFIRM, self._mark(), f"Queue {count}"))
