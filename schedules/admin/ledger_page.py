"""The ledger of a schedule on a page of its own: a range, the verdict on it, its records, and "Why?"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from fleet.admin.marks import badge
from fleet.errors import DomainError, InvalidInput
from schedules.admin.instants import InstantField, in_zone_of, typed
from schedules.admin.ledger_table import ledger_table, ledger_url
from schedules.admin.words import clock, counted
from schedules.engine.clock import database_now
from schedules.models import Schedule
from schedules.services.ledger import Audit
from schedules.services.ledgerpages import LedgerPage, ledger_page
from schedules.services.why import Answer, why

F = TypeVar("F", bound=Callable[..., object])

if TYPE_CHECKING:
    from fleet.admin.base import TenantAdmin as _Page

    def themed_action(**_: Any) -> Callable[[F], F]: ...
else:
    from unfold.decorators import action as themed_action

    _Page = object

_RECORDS = 100
_NAMED = 5


class RangeForm(forms.Form):
    """Which fires to show. The names stand in the address."""

    since = InstantField(label="From", required=False, help_text="Empty: a week before the end.")
    until = InstantField(label="To", ends=True, required=False, help_text="Empty: now.")


class WhyForm(forms.Form):
    at = InstantField(label="Time", required=False, help_text="Empty: how it stands now.")


class ScheduleLedger(_Page):
    @themed_action(description="Ledger, why?", icon="receipt_long", permissions=["view"], url_path="ledger")
    def ledger(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Read-only: nothing on this page changes anything, so all of it is in the address."""
        schedule = self.get_object(request, unquote(object_id))
        if schedule is None:
            raise Http404
        now = database_now()
        range_form, why_form = RangeForm(request.GET or None), WhyForm(request.GET if "at" in request.GET else None)
        for form in (range_form, why_form):
            in_zone_of(form, schedule.timezone)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": schedule,
            "object": schedule,
            "title": f"Ledger of {schedule}",
            "range_form": range_form,
            "why_form": why_form,
            **_records(schedule, range_form, now),
            **_answer(schedule, why_form, now),
        }
        return TemplateResponse(request, "schedules/admin/ledger.html", context)


def _records(schedule: Schedule, form: RangeForm, now: datetime) -> dict[str, Any]:
    """What the template says of the range."""
    if form.is_bound and not form.is_valid():
        return {}
    asked = form.cleaned_data if form.is_bound else {}
    try:
        page = ledger_page(schedule, now=now, after=asked.get("since"), through=asked.get("until"), limit=_RECORDS)
    except DomainError as refusal:
        return {"refusal": refusal.message}
    zone = schedule.timezone
    return {
        "shown_range": f"{clock(page.after, zone)} to {clock(page.through, zone)}",
        "verdict": verdict(schedule, page),
        "records": ledger_table(schedule, page.entries, empty="No fire was expected in this range."),
        "count": len(page.entries) if page.older else 0,
        "older": page.older and ledger_url(schedule, since=typed(page.after, zone), until=page.older.isoformat()),
    }


def _answer(schedule: Schedule, form: WhyForm, now: datetime) -> dict[str, Answer]:
    if not form.is_bound or not form.is_valid():
        return {}
    try:
        return {"answer": why(schedule, at=form.cleaned_data["at"], now=now)}
    except InvalidInput as refusal:
        form.add_error("at", refusal.message)
        return {}


def verdict(schedule: Schedule, page: LedgerPage) -> SafeString:
    """Whether each expected fire of the range is covered exactly once, in a sentence behind its mark."""
    if page.audit is None:
        return format_html("{} {}", badge("Not checked", tone="quiet", shape="remove"), page.unchecked)
    if not page.audit.is_clean:
        mark = badge("Not in order", tone="failed", shape="dangerous")
        return format_html("{} {} {}", mark, _faults(page.audit, schedule.timezone), page.unchecked)
    mark = badge("Complete", tone="ok", shape="check_circle")
    return format_html("{} {} {}", mark, _in_order(page.audit.expected), page.unchecked)


def _in_order(expected: int) -> str:
    if expected == 0:
        return "No fire was expected."
    each = "covered once" if expected == 1 else "each covered once"
    return f"{counted(expected, 'expected fire')}, {each}."


def _faults(audit: Audit, zone: str) -> SafeString:
    kinds: list[tuple[str, Sequence[datetime]]] = [
        ("without a record", audit.holes),
        ("covered more than once", audit.doubles),
        ("recorded and not expected, or miscounted", audit.strays),
    ]
    parts = ((f"{len(fires)} {what}", _listed(fires, zone)) for what, fires in kinds if fires)
    found = format_html_join("; ", "{}: {}", parts)
    return format_html("Of {}: {}.", counted(audit.expected, "expected fire"), found)


def _listed(fires: Sequence[datetime], zone: str) -> str:
    more = f" and {len(fires) - _NAMED} more" if len(fires) > _NAMED else ""
    return ", ".join(clock(fire, zone) for fire in fires[:_NAMED]) + more
