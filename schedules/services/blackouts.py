"""Blackout calendars: made, changed, deleted; and when the next window is.

Whether a fire is blacked out is decided when it is planned: a change counts for every fire that is not planned yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from fleet.actors import Actor
from fleet.audit import audit_record, changed_values, field_values
from fleet.errors import InvalidInput, NameTaken, NotFound
from fleet.models import Organisation
from fleet.names import near
from fleet.services.races import Clash, refused_by
from schedules import timing
from schedules.models import BlackoutCalendar, Schedule
from schedules.names import check_name

COLUMNS = ("name", "timezone", "windows", "for_all")
#: What a person sets.
FIELDS = (*COLUMNS, "schedules")
LONGEST_TEXT = 20_000
# 29 February is eight years away at most; what lies further off is nobody's next window.
_HORIZON = timedelta(days=10 * 366)


@transaction.atomic(durable=True)
def blackout_create(
    *, organisation: Organisation, actor: Actor, name: str, schedules: Iterable[Schedule] = (), **values: Any
) -> BlackoutCalendar:
    """Make a calendar. ``values``: ``windows`` (one a line), ``timezone``, ``for_all``.

    Raises :class:`InvalidInput`, :class:`NameTaken`, or :class:`NotFound` for a schedule of another organisation, each
    naming the field.
    """
    return create_in_transaction(organisation=organisation, actor=actor, name=name, schedules=schedules, **values)


@transaction.atomic(durable=True)
def blackout_update(*, calendar: BlackoutCalendar, actor: Actor, **changes: Any) -> BlackoutCalendar:
    """Change what is named of :data:`FIELDS`. Fires that are planned already stay as they are."""
    return update_in_transaction(calendar=calendar, actor=actor, **changes)


@transaction.atomic(durable=True)
def blackout_delete(*, calendar: BlackoutCalendar, actor: Actor) -> None:
    """Delete a calendar: from now on its windows stop nothing. What the ledger says of past fires stays."""
    delete_in_transaction(calendar=calendar, actor=actor)


def create_in_transaction(
    *, organisation: Organisation, actor: Actor, name: str, schedules: Iterable[Schedule] = (), **values: Any
) -> BlackoutCalendar:
    """:func:`blackout_create` inside the caller's transaction."""
    _refuse_unknown(values)
    row = BlackoutCalendar(organisation=organisation, name=name, **values)
    _check(row)
    own = _own(organisation, schedules)
    _save(row)
    row.schedules.set(own)
    audit_record(actor=actor, action="blackout.create", subject=row, organisation=organisation, after=_values(row, own))
    return row


def update_in_transaction(*, calendar: BlackoutCalendar, actor: Actor, **changes: Any) -> BlackoutCalendar:
    """:func:`blackout_update` inside the caller's transaction."""
    _refuse_unknown(changes)
    row = _locked(calendar)
    held = list(row.schedules.all())
    before = _values(row, held)
    for field, value in changes.items():
        if field in COLUMNS:
            setattr(row, field, value)
    _check(row)
    own = _own(row.organisation, changes.get("schedules", held))
    old, new = changed_values(before, _values(row, own))
    if not new:
        return row
    _save(row)
    row.schedules.set(own)
    audit_record(
        actor=actor, action="blackout.update", subject=row, organisation=row.organisation, before=old, after=new
    )
    return row


def delete_in_transaction(*, calendar: BlackoutCalendar, actor: Actor) -> None:
    """:func:`blackout_delete` inside the caller's transaction."""
    row = _locked(calendar)
    before = _values(row, row.schedules.all())
    audit_record(actor=actor, action="blackout.delete", subject=row, organisation=row.organisation, before=before)
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


def blackout_named(organisation: Organisation, name: str) -> BlackoutCalendar:
    """The organisation's calendar of this name. Raises :class:`NotFound` with a near name."""
    rows = BlackoutCalendar.objects.of(organisation)
    calendar = rows.select_related("organisation").filter(name=name).first()
    if calendar is None:
        known = list(rows.values_list("name", flat=True))
        raise NotFound(
            f"There is no blackout calendar named {name!r} in {organisation}.{near(name, known)} "
            "`manage.py blackout ls` lists them.",
            field="name",
        )
    return calendar


def blackout_next(calendar: BlackoutCalendar, now: datetime) -> timing.Window | None:
    """The window that holds at ``now``, else the next one; None when none is to come, or the text is damaged."""
    try:
        blackouts = timing.parse_blackouts(calendar.windows, timezone=calendar.timezone)
    except timing.ExpressionError:
        return None
    return next(timing.merged([blackouts], now, now + _HORIZON), None)


def _check(row: BlackoutCalendar) -> None:
    """Refuse what could not be kept. Leaves the text as lines without trailing blanks."""
    check_name(row.name, what="calendar", example="christmas")
    row.windows = timing.tidy_windows(row.windows)
    if len(row.windows) > LONGEST_TEXT:
        raise InvalidInput(
            f"windows may have {LONGEST_TEXT} characters, not {len(row.windows)}: make two calendars of it.",
            field="windows",
        )
    if not any(line.partition("#")[0].strip() for line in row.windows.splitlines()):
        raise InvalidInput(
            f"A calendar needs a window, not {row.windows!r}; for example sat,sun or 2026-12-24..2026-12-26.",
            field="windows",
        )
    try:
        timing.parse_blackouts(row.windows, timezone=row.timezone)
    except timing.ExpressionError as error:
        field = "timezone" if error.field == "timezone" else "windows"
        raise InvalidInput(str(error), field=field) from error


def _own(organisation: Organisation, schedules: Iterable[Schedule]) -> list[Schedule]:
    """These schedules as they are now. Another organisation's is not there, as one that was deleted meanwhile."""
    wanted = {each.pk: each.name for each in schedules}
    found = Schedule.objects.of(organisation).in_bulk(list(wanted))
    for pk, name in wanted.items():
        if pk not in found:
            raise NotFound(
                f"There is no job named {name!r} in {organisation}. `manage.py job ls` lists its jobs.",
                field="schedules",
            )
    return list(found.values())


def _values(row: BlackoutCalendar, schedules: Iterable[Schedule]) -> dict[str, Any]:
    """For the audit trail: jobs by their names."""
    return field_values(row, COLUMNS) | {"schedules": sorted(each.name for each in schedules)}


def _save(row: BlackoutCalendar) -> None:
    taken = NameTaken(
        f"The calendar {row.name!r} exists already in {row.organisation}. Choose another name, "
        f"or change it: manage.py blackout set {row.name}",
        field="name",
    )
    column = "schedules_blackoutcalendar.name"
    with refused_by(Clash(constraint="blackout_name_once_per_organisation", column=column, refusal=taken)):
        row.save()


def _locked(calendar: BlackoutCalendar) -> BlackoutCalendar:
    rows = BlackoutCalendar.objects.select_related("organisation").select_for_update(of=("self",), no_key=True)
    row = rows.filter(pk=calendar.pk).first()
    if row is None:
        raise NotFound(f"The calendar {calendar.name!r} was deleted meanwhile.", field="name")
    return row


def _refuse_unknown(values: Mapping[str, Any]) -> None:
    for field in values:
        if field not in FIELDS:
            raise InvalidInput(f"A calendar has no field {field!r}. Fields are: {', '.join(FIELDS)}.", field=field)
