"""Create, change, enable, disable and delete schedules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, transaction

from fleet.actors import Actor
from fleet.audit import audit_record, changed_values, field_values
from fleet.clients.docker_command import mask_environment
from fleet.errors import Conflict, InvalidInput, NameTaken, NotFound
from fleet.models import Organisation
from fleet.names import near
from schedules.engine import ledger, lifecycle, pausing, slots
from schedules.engine.clock import database_now
from schedules.engine.course import timed_rule
from schedules.engine.planning import StillCatchingUp, settle
from schedules.models import Run, Schedule
from schedules.names import readable_slug
from schedules.services.checks import check_length, check_schedule

# What a person sets; everything else is the engine's.
FIELDS = (
    "name",
    "display_name",
    "description",
    "agent",
    "expression",
    "timezone",
    "executor",
    "payload",
    "timeout_seconds",
    "max_retries",
    "retry_delays",
    "max_concurrent_runs",
    "overlap",
    "misfire",
    "catchup_seconds",
    "priority",
    "jitter_seconds",
    "start_within_seconds",
    "starts_at",
    "ends_at",
    "max_runs",
    "pause_after_failures",
    "run_after",
    "run_after_on",
)
# What decides which fires there are: a change of one of these first accounts for the fires until now.
_COURSE = {"expression", "timezone", "name", "starts_at", "ends_at", "max_runs"}


@transaction.atomic(durable=True)
def schedule_create(
    *, organisation: Organisation, actor: Actor, display_name: str = "", enabled: bool = True, **values: Any
) -> Schedule:
    """Create a schedule and set its course. ``values`` are of :data:`FIELDS`; ``name`` follows from the display name.

    Raises :class:`InvalidInput` or :class:`NameTaken`, each naming the field.
    """
    return create_in_transaction(
        organisation=organisation, actor=actor, display_name=display_name, enabled=enabled, **values
    )


@transaction.atomic(durable=True)
def schedule_update(*, schedule: Schedule, actor: Actor, **changes: Any) -> Schedule:
    """Change fields. What decides on the fires replans the future and leaves the past as it was accounted for."""
    return update_in_transaction(schedule=schedule, actor=actor, **changes)


@transaction.atomic(durable=True)
def schedule_enable(*, schedule: Schedule, actor: Actor) -> Schedule:
    """Let it fire again. Fires that passed while it was off count as paused, not as missed."""
    return enable_in_transaction(schedule=schedule, actor=actor)


@transaction.atomic(durable=True)
def schedule_disable(*, schedule: Schedule, actor: Actor, reason: str = "") -> Schedule:
    """Stop it from firing. Runs that wait or run go on."""
    return disable_in_transaction(schedule=schedule, actor=actor, reason=reason)


def schedule_delete(*, schedule: Schedule, actor: Actor) -> int:
    """Delete a schedule. Its runs and their logs stay; those that are not over are cancelled: returns how many.

    Raises :class:`Conflict` while another schedule runs after it.
    """
    try:
        with transaction.atomic(durable=True):
            return delete_in_transaction(schedule=schedule, actor=actor)
    except IntegrityError as error:
        # The database looks at the end of the transaction whether anything names what is gone.
        raise Conflict(f"A run of {schedule.name!r} was queued just now. Delete it once more.") from error


def create_in_transaction(
    *, organisation: Organisation, actor: Actor, display_name: str = "", enabled: bool = True, **values: Any
) -> Schedule:
    """:func:`schedule_create` inside the caller's transaction."""
    _refuse_unknown(values)
    name = values.pop("name", "") or _name_for(organisation, display_name)
    now = database_now().replace(microsecond=0)
    schedule = Schedule(
        organisation=organisation,
        name=name,
        display_name=display_name or name,
        enabled=enabled,
        created_by=actor.label,
        anchor_at=now,
        planned_through=now,
        resumed_at=now,
        **values,
    )
    check_schedule(schedule)
    _refuse_past(schedule)
    _save(schedule)
    # The open span of a schedule that starts disabled names the row.
    ledger.set_course(schedule)
    schedule.save(update_fields=["next_run_at", "zone_data"])
    ledger.revise(schedule)
    audit_record(
        actor=actor,
        action="schedule.create",
        subject=schedule,
        organisation=organisation,
        after=_masked(field_values(schedule, [*FIELDS, "enabled"])),
    )
    return schedule


def update_in_transaction(*, schedule: Schedule, actor: Actor, **changes: Any) -> Schedule:
    """:func:`schedule_update` inside the caller's transaction."""
    _refuse_unknown(changes)
    if changes.get("run_after") is not None:
        # Two edits that each look at the chain as it was would close a circle together.
        organisation_locked(schedule.organisation_id)
    row = _locked(schedule)
    before = field_values(row, FIELDS)
    wanted = {field: value for field, value in changes.items() if getattr(row, field) != value}
    steers = bool(_COURSE & wanted.keys())
    if steers:
        _settle(row)
    if "expression" in wanted:
        row.anchor_at = row.planned_through.replace(microsecond=0)
    for field, value in wanted.items():
        setattr(row, field, value)
    check_schedule(row)
    old, new = changed_values(before, field_values(row, FIELDS))
    if not new:
        return row
    row.version += 1
    if steers:
        _refuse_past(row)
        ledger.set_course(row)
    _save(row)
    if steers:
        ledger.revise(row)
    audit_record(
        actor=actor,
        action="schedule.update",
        subject=row,
        organisation=row.organisation,
        before=_masked(old),
        after=_masked(new),
    )
    return row


def enable_in_transaction(*, schedule: Schedule, actor: Actor) -> Schedule:
    """:func:`schedule_enable` inside the caller's transaction."""
    row = _locked(schedule)
    if not row.enabled:
        pausing.resume(row, actor=actor, now=database_now())
    return row


def disable_in_transaction(*, schedule: Schedule, actor: Actor, reason: str = "") -> Schedule:
    """:func:`schedule_disable` inside the caller's transaction."""
    check_length("paused_reason", reason)
    row = _locked(schedule)
    if row.enabled:
        with _told_when_catching_up(row):
            pausing.pause(row, reason=reason, actor=actor, now=database_now())
    return row


def delete_in_transaction(*, schedule: Schedule, actor: Actor) -> int:
    """:func:`schedule_delete` inside the caller's transaction."""
    row = _locked(schedule)
    if follower := row.followers.order_by("name").values_list("name", flat=True).first():
        raise Conflict(
            f"The job {follower!r} runs after {row.name!r}. Change that first: "
            f"manage.py job edit {follower} --after none"
        )
    now = database_now()
    cause = "its schedule was deleted"
    active = list(Run.objects.active().filter(schedule=row).with_limits().order_by("pk"))
    done = {run: lifecycle.run_cancel(run, cause=cause, actor=actor.label, now=now) for run in active}
    slots.release_after_commit(run for run, how in done.items() if how == "ended")
    audit_record(
        actor=actor,
        action="schedule.delete",
        subject=row,
        organisation=row.organisation,
        before=_masked(field_values(row, [*FIELDS, "enabled"])),
    )
    row.delete()
    return sum(bool(how) for how in done.values())


def schedule_named(organisation: Organisation, name: str) -> Schedule:
    """The organisation's schedule of this name. Raises :class:`NotFound` with a near name."""
    rows = Schedule.objects.of(organisation).select_related("organisation", "agent")
    schedule = rows.filter(name=name).first()
    if schedule is None:
        known = list(Schedule.objects.of(organisation).values_list("name", flat=True))
        raise NotFound(
            f"There is no job named {name!r} in {organisation}.{near(name, known)} `manage.py job ls` lists them.",
            field="name",
        )
    return schedule


def organisation_locked(organisation_id: int) -> None:
    """Wait for others that change what only all jobs of an organisation together can break.

    The engine never waits for this lock, unlike for one on a schedule. Taken before any of those.
    """
    Organisation.objects.select_for_update(no_key=True).get(pk=organisation_id)


def _settle(row: Schedule) -> None:
    with _told_when_catching_up(row):
        settle(row, database_now())


@contextmanager
def _told_when_catching_up(row: Schedule) -> Iterator[None]:
    try:
        yield
    except StillCatchingUp:
        raise Conflict(
            f"{row.name} is still making up missed fires (misfire: run_all). Try again in a minute, or let it skip "
            f"them first: manage.py job edit {row.name} --misfire skip"
        ) from None


def _refuse_past(schedule: Schedule) -> None:
    if schedule.kind == Schedule.Kind.ONCE and timed_rule(schedule).next_after(schedule.planned_through) is None:
        raise InvalidInput(
            f"{schedule.expression!r} lies in the past: it would never fire. Name a time to come.", field="expression"
        )


def _locked(schedule: Schedule) -> Schedule:
    rows = Schedule.objects.select_related("organisation", "agent")
    row = rows.select_for_update(of=("self",), no_key=True).filter(pk=schedule.pk).first()
    if row is None:
        raise NotFound(f"The job {schedule.name!r} was deleted meanwhile.", field="name")
    return row


def _save(schedule: Schedule) -> None:
    try:
        with transaction.atomic():
            schedule.save()
    except IntegrityError as error:
        # SQLite names the columns, PostgreSQL the constraint.
        if "schedule_name_once" in str(error) or "schedule.name" in str(error):
            raise NameTaken(
                f"The name {schedule.name!r} is taken in {schedule.organisation}. Choose another display name, "
                f"or delete it first: manage.py job delete {schedule.name}",
                field="name",
            ) from error
        raise


def _masked(values: Mapping[str, Any]) -> dict[str, Any]:
    """For the audit trail, which more people read than may see what a command is given with ``-e``."""
    payload = values.get("payload")
    if not isinstance(payload, dict) or not isinstance(command := payload.get("command"), str):
        return dict(values)
    return {**values, "payload": {**payload, "command": mask_environment(command)}}


def _name_for(organisation: Organisation, display_name: str) -> str:
    schedules = Schedule.objects.of(organisation)
    name = readable_slug(display_name, set(schedules.values_list("name", flat=True)))
    # A name without Latin letters becomes job-1, job-2 …: that it is there already shows in the display name only.
    same = schedules.filter(display_name=display_name).exclude(name=name).first()
    if same is not None:
        raise NameTaken(
            f"{display_name!r} exists already in {organisation}: its job name is {same.name!r}. Choose another display "
            f"name, or delete it first: manage.py job delete {same.name}",
            field="display_name",
        )
    return name


def _refuse_unknown(values: Mapping[str, Any]) -> None:
    for field in values:
        if field not in FIELDS:
            raise InvalidInput(f"A schedule has no field {field!r}. Fields are: {', '.join(FIELDS)}.", field=field)
