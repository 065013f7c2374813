"""What a schedule may be: each refusal names the field, the value and the way out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from fleet.errors import InvalidInput, NotFound
from fleet.models import Agent, Organisation
from fleet.names import near
from schedules import timing
from schedules.engine.attempt import agent_view
from schedules.engine.storable import storable, storable_json
from schedules.executors.problems import first_problem
from schedules.executors.registry import executor_of
from schedules.models import Schedule
from schedules.names import check_name
from schedules.words import clock

LONGEST_TIMEOUT = timedelta(days=7)
LONGEST_CATCHUP = timedelta(days=31)
LONGEST_DESCRIPTION = 10_000
MOST_DELAYS = 100
LONGEST_CHAIN = 50
# Beyond these nothing of ours happens, but local times overflow and counting takes seconds.
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


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


def check_schedule(schedule: Schedule) -> None:
    """Refuse what could not be kept. Sets ``kind``, and the agent that the payload names."""
    _check_texts(schedule)
    check_name(schedule.name)
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
    _check_bounds(schedule)
    _check_run_after(schedule)


def _check_texts(schedule: Schedule) -> None:
    """What is text is text that any database takes: an API or a file may bring anything."""
    for field in ("name", "display_name", "description", "expression", "timezone", "executor"):
        value = getattr(schedule, field)
        if not isinstance(value, str):
            raise InvalidInput(f"{field} is a text, not {value!r}.", field=field)
        if storable(value) != value:
            raise InvalidInput(
                f"{field} {value[:60]!r} holds a character that can't be kept (NUL or half a surrogate): take it out.",
                field=field,
            )
        check_length(field, value)
    if len(schedule.description) > LONGEST_DESCRIPTION:
        raise InvalidInput(
            f"description may have {LONGEST_DESCRIPTION} characters, not {len(schedule.description)}.",
            field="description",
        )
    if storable_json(schedule.payload) != schedule.payload:
        raise InvalidInput(
            "payload holds a text with a character that can't be kept (NUL or half a surrogate): take it out.",
            field="payload",
        )


def check_length(field: str, text: str) -> None:
    """SQLite would take any length; PostgreSQL answers with an error of its own."""
    longest = Schedule._meta.get_field(field).max_length  # type: ignore[union-attr]  # noqa: SLF001
    if longest is not None and len(text) > longest:
        raise InvalidInput(f"{field} may have {longest} characters, not {len(text)}.", field=field)


def check_instant(field: str, moment: datetime) -> None:
    """Refuse a time that no schedule of ours can have. Raises :class:`InvalidInput`."""
    if not _FIRST <= moment < _LAST:
        raise InvalidInput(
            f"{field} must lie in the years 1970 to 2199, not at {moment.isoformat()}: "
            "for example 2030-01-01T00:00:00Z.",
            field=field,
        )


def _check_numbers(schedule: Schedule) -> None:
    longest = int(LONGEST_TIMEOUT.total_seconds())
    ranges = {
        "timeout_seconds": (1, longest),
        "max_concurrent_runs": (1, 1000),
        "priority": (0, 9),
        "catchup_seconds": (0, int(LONGEST_CATCHUP.total_seconds())),
        "max_retries": (0, 100),
        "jitter_seconds": (0, 86400),
        "start_within_seconds": (1, longest),
        "max_runs": (1, 2**31 - 1),
        "pause_after_failures": (1, 1000),
    }
    for field, (low, high) in ranges.items():
        value = getattr(schedule, field)
        if value is None and Schedule._meta.get_field(field).null:  # noqa: SLF001 - Django's documented API
            continue
        if type(value) is not int:
            raise InvalidInput(f"{field} is a whole number, for example {low}, not {value!r}.", field=field)
        if not low <= value <= high:
            near_ = min(max(value, low), high)
            raise InvalidInput(f"{field} must be from {low} to {high}, not {value}; try {near_}.", field=field)
    _check_delays(schedule.retry_delays, longest)


def _check_delays(delays: object, longest: int) -> None:
    known = isinstance(delays, list) and all(type(each) is int and 0 <= each <= longest for each in delays)
    if not known or len(delays) > MOST_DELAYS:  # type: ignore[arg-type]
        raise InvalidInput(
            f"retry_delays is a list of seconds, at most {MOST_DELAYS} of 0 to {longest}, for example [30, 60, 300], "
            f"not {str(delays)[:60]}.",
            field="retry_delays",
        )


def _check_choices(schedule: Schedule) -> None:
    fields = {
        "overlap": Schedule.Overlap.values,
        "misfire": Schedule.Misfire.values,
        "run_after_on": Schedule.After.values,
    }
    for field, choices in fields.items():
        value = getattr(schedule, field)
        if value not in choices:
            raise InvalidInput(f"{value!r} is not a policy for {field}: {', '.join(choices)}.", field=field)


def _check_bounds(schedule: Schedule) -> None:
    for field in ("starts_at", "ends_at"):
        value = getattr(schedule, field)
        if value is not None and not isinstance(value, datetime):
            raise InvalidInput(f"{field} is an instant, for example 2026-12-01T02:00:00Z, not {value!r}.", field=field)
        if value is not None and value.utcoffset() is None:
            raise InvalidInput(
                f"{field} needs an offset, for example {value.isoformat()}+08:00 or {value.isoformat()}Z.", field=field
            )
        if value is not None:
            check_instant(field, value)
    starts, ends = schedule.starts_at, schedule.ends_at
    if starts is not None and ends is not None and ends < starts:
        raise InvalidInput(
            f"The end, {clock(ends, schedule.timezone)}, lies before the start, {clock(starts, schedule.timezone)}: it "
            "would never fire. Name a later end, or leave one of them out.",
            field="ends_at",
        )


def _check_run_after(schedule: Schedule) -> None:
    """Of the same organisation, and never in a circle."""
    if schedule.run_after is None:
        return
    if schedule.run_after.organisation_id != schedule.organisation_id:
        raise NotFound("There is no such job in this organisation.", field="run_after")
    way, seen = [schedule.name], {schedule.pk}
    # As they are now, not as they were when the caller read them.
    before: Schedule | None = Schedule.objects.filter(pk=schedule.run_after.pk).first()
    if before is None:
        raise NotFound(f"The job {schedule.run_after.name!r} was deleted meanwhile.", field="run_after")
    while before is not None:
        way.append(before.name)
        if len(way) > LONGEST_CHAIN:
            raise InvalidInput(
                f"More than {LONGEST_CHAIN} jobs would run after each other, up to {before.name}. Begin a new chain "
                "with a schedule of its own.",
                field="run_after",
            )
        if before.pk in seen:
            circle = " after ".join(way)
            raise InvalidInput(f"Jobs would run in a circle: {circle}. Leave one of them out.", field="run_after")
        seen.add(before.pk)
        before = before.run_after
