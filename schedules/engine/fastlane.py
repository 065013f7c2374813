"""The fast lane of a tick, on PostgreSQL: a fire that is on time, alone and free is planned, admitted and published
with a thousand others, in one statement of SQL and one call to Redis.

It decides nothing of its own: what is not plainly one run at once goes the way of ``planning`` and ``admission``.
A run's key is known before its row, so that its slots are taken first and the row is inserted as admitted. A crash in
between leaves slots that no run holds, which the reconciler drops.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction

from schedules import timing
from schedules.engine import admission, publishing, slots
from schedules.engine.fastlane_sql import PLAN_AND_ADMIT
from schedules.engine.fates import ON_TIME
from schedules.engine.holds import Bars
from schedules.engine.lifecycle import new_token
from schedules.engine.newruns import planned_key
from schedules.executors.registry import executors
from schedules.models import BlackoutCalendar, Run, Schedule

logger = logging.getLogger(__name__)

BATCH = 1000


class Due(NamedTuple):
    """A due schedule, as far as the fast lane looks at it."""

    pk: int
    version: int
    expression: str
    timezone: str
    name: str
    anchor_at: datetime
    fire: datetime
    overlap: str
    max_retries: int | None
    priority: int
    executor: str
    max_concurrent_runs: int
    organisation_id: int
    organisation_limit: int
    agent_id: int | None
    agent_limit: int | None


_COLUMNS = (
    "pk", "version", "expression", "timezone", "name", "anchor_at", "next_run_at", "overlap", "max_retries",
    "priority", "executor", "max_concurrent_runs", "organisation_id", "organisation__max_concurrent_runs",
    "agent_id", "agent__max_concurrent_runs",
)  # fmt: skip


@dataclass(kw_only=True)
class Fire:
    """A fire that becomes a run at once; ``token`` is empty while it has no slot."""

    due: Due
    key: str
    following: datetime | None
    queue: str
    retries: int
    token: str = ""
    scopes: list[slots.Scope] = field(default_factory=list)


def is_open() -> bool:
    return connection.vendor == "postgresql"


def plan_fast(now: datetime) -> int:
    """Plan, admit and publish what is plainly due, a batch of it. Returns how many schedules it dealt with."""
    fires = _plain_fires(_due(now), now)
    if not fires:
        return 0
    admitted = _take_slots(_fair(fires), now)
    runs = _write(fires, now)
    _give_back([fire for fire in admitted if fire.due.pk not in runs])
    _publish([(fire, runs[fire.due.pk]) for fire in admitted if fire.due.pk in runs])
    return len(fires)


def _due(now: datetime) -> list[Due]:
    """Those that need nothing but their time: no dates, maximum, jitter, start limit, replacing, no blackouts."""
    plain = Schedule.objects.due(now).filter(
        next_run_at__gte=now - ON_TIME,
        starts_at=None,
        ends_at=None,
        max_runs=None,
        jitter_seconds=0,
        start_within_seconds=None,
    )
    rows = plain.exclude(overlap=Schedule.Overlap.CANCEL_RUNNING).exclude(blackouts__isnull=False)
    darkened = BlackoutCalendar.objects.filter(for_all=True).values("organisation_id")
    return [Due._make(row) for row in rows.exclude(organisation__in=darkened).values_list(*_COLUMNS)[:BATCH]]


def _plain_fires(due: Sequence[Due], now: datetime) -> list[Fire]:
    active = _active(due)
    return [fire for each in due if (fire := _fire(each, active.get(each.pk, 0), now))]


def _fire(due: Due, active: int, now: datetime) -> Fire | None:
    """The run it plainly becomes, or None: then ``planning`` decides."""
    executor = executors().get(due.executor)
    if executor is None or executor.hold != "shared" or active > _MAY_BE_ACTIVE[due.overlap]:
        return None
    try:
        rule = timing.parse(due.expression, timezone=due.timezone, job_name=due.name, anchor=due.anchor_at)
    except timing.ExpressionError:
        return None
    following = rule.next_after(due.fire)
    if following is not None and following <= now:
        return None
    retries = executor.default_retries if due.max_retries is None else due.max_retries
    key = planned_key(due.pk, due.fire)
    return Fire(due=due, key=key, following=following, queue=executor.queue, retries=retries, scopes=_scopes(due))


# How many runs may be active for the next one to be planned.
_MAY_BE_ACTIVE: dict[str, int] = {
    Schedule.Overlap.SKIP: 0,
    Schedule.Overlap.QUEUE_ONE: 1,
    Schedule.Overlap.QUEUE_ALL: 2**31,
}


def _active(due: Sequence[Due]) -> dict[int, int]:
    counts: dict[int, int] = {}
    rows = Run.objects.active().filter(schedule__in=[each.pk for each in due], trigger=Run.Trigger.SCHEDULE)
    for schedule_id in rows.values_list("schedule_id", flat=True):
        counts[schedule_id or 0] = counts.get(schedule_id or 0, 0) + 1
    return counts


def _scopes(due: Due) -> list[slots.Scope]:
    scopes = [
        slots.Scope(name=f"organisation:{due.organisation_id}", limit=due.organisation_limit),
        slots.Scope(name=f"schedule:{due.pk}", limit=due.max_concurrent_runs),
    ]
    if due.agent_id is not None:
        scopes += slots.agent_scopes(due.agent_id, due.agent_limit or 1, alone=False)
    return scopes


def _fair(fires: Sequence[Fire]) -> list[Fire]:
    """Round-robin over organisations; inside one by priority, then by time."""
    turns: dict[int, int] = {}
    order = []
    for fire in sorted(fires, key=lambda fire: (-fire.due.priority, fire.due.fire, fire.due.pk)):
        turn = turns[fire.due.organisation_id] = turns.get(fire.due.organisation_id, -1) + 1
        order.append((turn, fire))
    return [fire for _, fire in sorted(order, key=lambda each: each[0])]


def _take_slots(fires: Sequence[Fire], now: datetime) -> list[Fire]:
    """Those that may start at once, with their token set: nobody waits before them, and there is room."""
    waiting = set(Run.objects.waiting(now).order_by().values_list("organisation_id", flat=True).distinct())
    bars, room = Bars(now), admission.queue_room(now)
    asked = []
    for fire in fires:
        left = room.get(fire.queue, 0)
        if fire.due.organisation_id in waiting or bars.bar(fire.due.agent_id) or left <= 0:
            continue
        room[fire.queue] = left - 1
        asked.append(fire)
    holders = [slots.Holder(key=fire.key, attempt=1, scopes=fire.scopes) for fire in asked]
    try:
        answers = slots.acquire_each(holders) if holders else []
    except (slots.RedisError, slots.SlotsNotReady) as error:
        logger.warning("the runs of this tick wait for their slots: %s", error)
        return []
    taken = [fire for fire, full in zip(asked, answers, strict=True) if full is None]
    for fire in taken:
        fire.token = new_token()
    return taken


@transaction.atomic
def _write(fires: Sequence[Fire], now: datetime) -> dict[int, int]:
    """Advance and insert by one statement. Returns the run of each schedule that nobody had changed meanwhile."""
    columns: list[list[Any]] = [
        [fire.due.pk for fire in fires],
        [fire.due.version for fire in fires],
        [fire.due.fire for fire in fires],
        [fire.following for fire in fires],
        [fire.key for fire in fires],
        [fire.token for fire in fires],
        [fire.queue for fire in fires],
        [fire.retries for fire in fires],
    ]
    with connection.cursor() as cursor:
        cursor.execute(PLAN_AND_ADMIT, [*columns, now, timing.zone_data_version()])
        return dict(cursor.fetchall())


def _give_back(fires: Sequence[Fire]) -> None:
    """Somebody else was first. When that was a beat that planned the same run, the slot is its own."""
    if not fires:
        return
    keys = [fire.key for fire in fires]
    held = set(Run.objects.holding_slots().filter(job_run_id__in=keys).values_list("job_run_id", flat=True))
    lost = [fire for fire in fires if fire.key not in held]
    slots.release(*(slots.Holder(key=fire.key, attempt=1, scopes=fire.scopes) for fire in lost))


def _publish(fires: Sequence[tuple[Fire, int]]) -> None:
    messages = [
        publishing.Message(
            run=run_id,
            attempt=1,
            token=fire.token,
            schedule=fire.due.name,
            job_run_id=fire.key,
            executor=fire.due.executor,
            queue=fire.queue,
        )
        for fire, run_id in fires
    ]
    try:
        publishing.send(messages)
    except publishing.BrokerUnreachable as error:
        logger.warning("%s. %d admitted runs are published again by the sweep.", error, len(messages))
