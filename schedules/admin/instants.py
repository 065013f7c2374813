"""A time as a person types it, in the zone of the schedule that the page speaks of."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from schedules import timing
from schedules.admin.words import local_zone
from schedules.timing.instants import instant

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class InstantField(forms.CharField):
    """Text in, an aware UTC datetime or None out. The form sets ``zone`` for times that are typed without an offset.

    ``ends``: it is the end of something, so that a date alone includes its day.
    """

    zone = "UTC"

    def __init__(self, *, ends: bool = False, **options: Any) -> None:
        self.ends = ends
        super().__init__(widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "2026-03-01T02:00"}), **options)

    def clean(self, value: Any) -> Any:
        text: str = super().clean(value)
        if not text:
            return None
        if self.ends and _DATE.fullmatch(text):
            text = f"{text}T23:59:59"
        try:
            return instant(text, zone=local_zone(self.zone), field=str(self.label or "time"))
        except timing.ExpressionError as error:
            raise forms.ValidationError(str(error)) from error


def in_zone_of(form: forms.Form, zone: str) -> None:
    """Let every time of the form be read in this zone, and say so beside it."""
    for field in form.fields.values():
        if isinstance(field, InstantField):
            field.zone = zone
            hint = f"In {local_zone(zone).key}, unless an offset is given."
            field.help_text = f"{field.help_text} {hint}".strip()


def typed(moment: datetime, zone: str) -> str:
    """The instant as :class:`InstantField` reads it back: the offset makes it exact in an hour that comes twice."""
    return moment.astimezone(local_zone(zone)).isoformat(timespec="seconds")
