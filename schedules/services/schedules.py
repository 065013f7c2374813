"""Create, change, enable, disable and delete schedules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from pydantic import ValidationError

from fleet.actors import Actor
from fleet.audit import audit_record, changed_values, field_values
from fleet.clients.docker_command import mask_environment
from fleet.errors import InvalidInput, NameTaken, NotFound
from fleet.models import Agent, Organisation
from fleet.names import near
from schedules import timing
from schedules.engine import lifecycle, slots
from schedules.engine.attempt import agent_view
from schedules.engine.clock import database_now
from schedules.engine.planning import rule_of
from schedules.executors.problems import first_problem
from schedules.executors.registry import executor_of
from schedules.models import Run, Schedule
from schedules.names import check_name, readable_slug

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
_TIMING = {"expression", "timezone", "name"}
LONGEST_TIMEOUT = timedelta(days=7)


@transaction.atomic(durable=True)
def schedule_create(
    *, organisation: Organisation, actor: Actor, display_name: str = "", enabled: bool = True, **values: Any
) -> Schedule:
    """Create a schedule and set its cursor. ``values`` are of :data:`FIELDS`; ``name`` follows from the display name.

    Raises :class:`InvalidInput` or :class:`NameTaken`, each naming the field.
    """
    return create_in_transaction(
        organisation=organisation, actor=actor, display_name=display_name, enabled=enabled, **values
    )


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
    _check(schedule)
    schedule.next_run_at = _first_fire(schedule, now)
    _save(schedule)
    audit_record(
        actor=actor,
        action="schedule.create",
        subject=schedule,
        organisation=organisation,
        after=_masked(field_values(schedule, [*FIELDS, "enabled"])),
    )
    return schedule


@transaction.atomic(durable=True)
def schedule_update(*, schedule: Schedule, actor: Actor, **changes: Any) -> Schedule:
    """Change fields; a new expression, zone or name replans the future and leaves the past alone."""
    return update_in_transaction(schedule=schedule, actor=actor, **changes)


def update_in_transaction(*, schedule: Schedule, actor: Actor, **changes: Any) -> Schedule:
    """:func:`schedule_update` inside the caller's transaction."""
    _refuse_unknown(changes)
    row = _locked(schedule)
    before = field_values(row, FIELDS)
    for field, value in changes.items():
        setattr(row, field, value)
    _check(row)
    old, new = changed_values(before, field_values(row, FIELDS))
    if not new:
        return row
    if _TIMING & new.keys():
        _replan(row)
    row.version += 1
    _save(row)
    audit_record(
        actor=actor,
        action="schedule.update",
        subject=row,
        organisation=row.organisation,
        before=_masked(old),
        after=_masked(new),
    )
    return row


@transaction.atomic(durable=True)
def schedule_enable(*, schedule: Schedule, actor: Actor) -> Schedule:
    """Let it fire again. Fires that passed while it was off count as paused, not as missed."""
    return enable_in_transaction(schedule=schedule, actor=actor)


def enable_in_transaction(*, schedule: Schedule, actor: Actor) -> Schedule:
    """:func:`schedule_enable` inside the caller's transaction."""
    row = _locked(schedule)
    if row.enabled:
        return row
    now = database_now()
    row.enabled, row.paused_reason, row.resumed_at = True, "", now
    row.version += 1
    if row.next_run_at is None:
        row.next_run_at = rule_of(row).next_after(now)
    row.save(update_fields=["enabled", "paused_reason", "resumed_at", "version", "next_run_at", "updated_at"])
    audit_record(
        actor=actor,
        action="schedule.enable",
        subject=row,
        organisation=row.organisation,
        after={"enabled": True},
    )
    return row


@transaction.atomic(durable=True)
def schedule_disable(*, schedule: Schedule, actor: Actor, reason: str = "") -> Schedule:
    """Stop it from firing. Runs that wait or run go on; its cursor stays, so that enabling can account for it."""
    return disable_in_transaction(schedule=schedule, actor=actor, reason=reason)


def disable_in_transaction(*, schedule: Schedule, actor: Actor, reason: str = "") -> Schedule:
    """:func:`schedule_disable` inside the caller's transaction."""
    _check_length("paused_reason", reason)
    row = _locked(schedule)
    if not row.enabled:
        return row
    row.enabled, row.paused_reason = False, reason
    row.version += 1
    row.save(update_fields=["enabled", "paused_reason", "version", "updated_at"])
    audit_record(
        actor=actor,
        action="schedule.disable",
        subject=row,
        organisation=row.organisation,
        after={"enabled": False, "reason": reason},
    )
    return row


@transaction.atomic(durable=True)
def schedule_delete(*, schedule: Schedule, actor: Actor) -> int:
    """Delete a schedule. Its runs and their logs stay; those that are not over are cancelled: returns how many."""
    return delete_in_transaction(schedule=schedule, actor=actor)


def delete_in_transaction(*, schedule: Schedule, actor: Actor) -> int:
    """:func:`schedule_delete` inside the caller's transaction."""
    row = _locked(schedule)
    now = database_now()
    cause = "its schedule was deleted"
    active = list(Run.objects.active().filter(schedule=row).select_related("organisation", "schedule", "agent"))
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


def check_payload(schedule: Schedule) -> None:
    """Let the executor read the payload and judge it. Raises :class:`InvalidInput` that names the field in it.

    A payload that names a container sets the agent whose container it is, unless an agent was named.
    """
    executor = executor_of(schedule.executor)
    try:
        payload = executor.payload_model.model_validate(schedule.payload)
        if schedule.agent is None and (container := executor.container_named(payload)):
            schedule.agent = _agent_of(schedule.organisation, container)
        if executor.needs_agent and schedule.agent is None:
            raise InvalidInput(
                f"{executor.key} works on an agent: name one (--agent). `manage.py agent ls` lists them.",
                field="agent",
            )
        executor.check_payload(payload, agent=agent_view(schedule.agent) if schedule.agent else None)
    except ValidationError as error:
        field, text = first_problem(error)
        raise InvalidInput(text, field=field) from error
    except ValueError as error:
        raise InvalidInput(str(error), field="payload") from error


def _agent_of(organisation: Organisation, container: str) -> Agent:
    agents = Agent.objects.of(organisation).exclude(container_name="")
    agent = agents.filter(container_name=container).first()
    if agent is None:
        known = list(agents.values_list("container_name", flat=True))
        raise InvalidInput(
            f"No agent of {organisation} has a container named {container!r}.{near(container, known)} "
            f"Known containers: {', '.join(known) or 'none'}. "
            f"Add one: manage.py agent add {container.lower()} --container {container}",
            field="payload",
        )
    return agent


def _check(schedule: Schedule) -> None:
    check_name(schedule.name)
    _check_length("display_name", schedule.display_name)
    _check_length("expression", schedule.expression)
    try:
        rule = timing.validate(schedule.expression, timezone=schedule.timezone, job_name=schedule.name)
    except timing.ExpressionError as error:
        raise InvalidInput(str(error), field="timezone" if error.field == "timezone" else "expression") from error
    schedule.kind = Schedule.Kind(rule.kind)
    if schedule.agent is not None and schedule.agent.organisation_id != schedule.organisation_id:
        raise NotFound("There is no such agent in this organisation.", field="agent")
    check_payload(schedule)
    _check_numbers(schedule)
    _check_choices(schedule)


def _check_length(field: str, text: str) -> None:
    """SQLite would take any length; PostgreSQL answers with an error of its own."""
    longest = Schedule._meta.get_field(field).max_length  # type: ignore[union-attr]  # noqa: SLF001
    if longest is not None and len(text) > longest:
        raise InvalidInput(f"{field} may have {longest} characters, not {len(text)}.", field=field)


def _check_numbers(schedule: Schedule) -> None:
    longest = int(LONGEST_TIMEOUT.total_seconds())
    ranges = {
        "timeout_seconds": (1, longest),
        "max_concurrent_runs": (1, 1000),
        "priority": (0, 9),
        "catchup_seconds": (0, 366 * 86400),
        "max_retries": (0, 100),
    }
    for field, (low, high) in ranges.items():
        value = getattr(schedule, field)
        if value is not None and not low <= value <= high:
            raise InvalidInput(f"{field} must be from {low} to {high}, not {value}.", field=field)
    delays = schedule.retry_delays
    if not isinstance(delays, list) or not all(isinstance(each, int) and 0 <= each <= longest for each in delays):
        raise InvalidInput("retry_delays is a list of seconds, for example [30, 60, 300].", field="retry_delays")


def _check_choices(schedule: Schedule) -> None:
    for field, choices in (("overlap", Schedule.Overlap.values), ("misfire", Schedule.Misfire.values)):
        value = getattr(schedule, field)
        if value not in choices:
            raise InvalidInput(f"{value!r} is not a policy for {field}: {', '.join(choices)}.", field=field)


def _replan(schedule: Schedule) -> None:
    now = database_now()
    schedule.anchor_at = now.replace(microsecond=0)
    schedule.next_run_at = _first_fire(schedule, now)


def _first_fire(schedule: Schedule, now: datetime) -> datetime | None:
    first = rule_of(schedule).next_after(now)
    if first is None and schedule.kind == Schedule.Kind.ONCE:
        raise InvalidInput(
            f"{schedule.expression!r} lies in the past: it would never fire. Name a time to come.", field="expression"
        )
    return first if schedule.enabled else None


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
