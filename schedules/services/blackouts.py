"""Create, change and delete blackout calendars, and say for which schedules they hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import F

from fleet.actors import Actor
from fleet.audit import audit_record, changed_values, field_values
from fleet.errors import InvalidInput, NameTaken, NotFound
from fleet.models import Organisation
from fleet.names import check_slug
from fleet.services.races import Clash, refused_by
from schedules import timing
from schedules.models import BlackoutCalendar, Schedule

# What a person sets.
BLACKOUT_FIELDS = ("name", "timezone", "windows", "for_all")


@transaction.atomic(durable=True)
def blackout_create(*, organisation: Organisation, actor: Actor, **values: Any) -> BlackoutCalendar:
    """Create a calendar. ``values`` are of :data:`BLACKOUT_FIELDS`. Raises ``InvalidInput`` or ``NameTaken``."""
    return blackout_create_in_transaction(organisation=organisation, actor=actor, **values)


@transaction.atomic(durable=True)
def blackout_update(*, calendar: BlackoutCalendar, actor: Actor, **changes: Any) -> BlackoutCalendar:
    """Change fields. What was planned before stays as it was planned."""
    return blackout_update_in_transaction(calendar=calendar, actor=actor, **changes)


@transaction.atomic(durable=True)
def blackout_delete(*, calendar: BlackoutCalendar, actor: Actor) -> None:
    """Delete a calendar; the schedules that named it fire again in its windows."""
    blackout_delete_in_transaction(calendar=calendar, actor=actor)


def blackout_create_in_transaction(*, organisation: Organisation, actor: Actor, **values: Any) -> BlackoutCalendar:
    """:func:`blackout_create` inside the caller's transaction."""
    _refuse_unknown(values)
    calendar = BlackoutCalendar(organisation=organisation, **values)
    _save(calendar)
    audit_record(
        actor=actor,
        action="blackout.create",
        subject=calendar,
        organisation=organisation,
        after=field_values(calendar, BLACKOUT_FIELDS),
    )
    return calendar


def blackout_update_in_transaction(*, calendar: BlackoutCalendar, actor: Actor, **changes: Any) -> BlackoutCalendar:
    """:func:`blackout_update` inside the caller's transaction."""
    _refuse_unknown(changes)
    row = _locked(calendar)
    before = field_values(row, BLACKOUT_FIELDS)
    for field, value in changes.items():
        setattr(row, field, value)
    old, new = changed_values(before, field_values(row, BLACKOUT_FIELDS))
    if not new:
        return row
    _save(row)
    audit_record(
        actor=actor,
        action="blackout.update",
        subject=row,
        organisation=row.organisation,
        before=old,
        after=new,
    )
    return row


def blackout_delete_in_transaction(*, calendar: BlackoutCalendar, actor: Actor) -> None:
    """:func:`blackout_delete` inside the caller's transaction."""
    row = _locked(calendar)
    audit_record(
        actor=actor,
        action="blackout.delete",
        subject=row,
        organisation=row.organisation,
        before=field_values(row, BLACKOUT_FIELDS),
    )
    row.delete()


def schedule_blackouts_in_transaction(
    *, schedule: Schedule, calendars: Iterable[BlackoutCalendar], actor: Actor
) -> None:
    """Make these the calendars that hold for a schedule, besides those that hold for all."""
    wanted = sorted(calendars, key=lambda calendar: calendar.name)
    before = list(schedule.blackouts.order_by("name").values_list("name", flat=True))
    after = [calendar.name for calendar in wanted]
    if before == after:
        return
    # A planner that looked at the former calendars looks again.
    Schedule.objects.filter(pk=schedule.pk).update(version=F("version") + 1)
    schedule.blackouts.set(wanted)
    audit_record(
        actor=actor,
        action="schedule.update",
        subject=schedule,
        organisation=schedule.organisation,
        before={"blackouts": before},
        after={"blackouts": after},
    )


def _save(calendar: BlackoutCalendar) -> None:
    check_slug(calendar.name, field="name")
    try:
        timing.check_timezone(calendar.timezone)
        windows = timing.parse_blackouts(calendar.windows, timezone=calendar.timezone)
    except timing.ExpressionError as error:
        raise InvalidInput(str(error), field="timezone" if error.field == "timezone" else "windows") from error
    if not windows.lines:
        raise InvalidInput("windows names no time; try 12-24..01-02, or mon-fri 22:00-06:00.", field="windows")
    taken = NameTaken(f"{calendar.organisation} has a blackout calendar {calendar.name!r} already.", field="name")
    clash = Clash(constraint="blackout_name_once", column="schedules_blackoutcalendar.name", refusal=taken)
    with refused_by(clash):
        calendar.save()


def _locked(calendar: BlackoutCalendar) -> BlackoutCalendar:
    rows = BlackoutCalendar.objects.select_related("organisation").select_for_update(of=("self",), no_key=True)
    row = rows.filter(pk=calendar.pk).first()
    if row is None:
        raise NotFound(f"The blackout calendar {calendar.name!r} was deleted meanwhile.", field="name")
    return row


def _refuse_unknown(values: Iterable[str]) -> None:
    for field in values:
        if field not in BLACKOUT_FIELDS:
            known = ", ".join(BLACKOUT_FIELDS)
            raise InvalidInput(f"A blackout calendar has no field {field!r}. Fields are: {known}.", field=field)
