"""The fast lane of a tick, on PostgreSQL: a fire that is on time, alone and free is planned, admitted and published
with a thousand others, in one statement of SQL and one call to Redis.

It decides nothing of its own: what is not plainly one run at once goes the way of ``planning`` and ``admission``.
A run's key is known before its row, so that its slots are taken first and the row is inserted as admitted. A crash in
between leaves slots that no run holds, which the reconciler drops.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

from django.db import InterfaceError, OperationalError, connection

from schedules import timing
from schedules.engine import admission, candidates, publishing, slots
from schedules.engine.fastlane_sql import ACTIVE, DUE, PLAN_AND_ADMIT
from schedules.engine.fates import ON_TIME
from schedules.engine.holds import Bars
from schedules.engine.lifecycle import new_token
from schedules.engine.newruns import planned_key
from schedules.engine.statements import fetch, is_postgresql
from schedules.executors.registry import executors
from schedules.models import Run, Schedule

logger = logging.getLogger(__name__)

BATCH = 1000
# In one call: a tick has other work, and what was read has to be fresh.
BATCHES = 5


class Due(NamedTuple):
    """A due schedule, as far as the fast lane looks at it. Instants are seconds since the epoch."""

    pk: int
    version: int
    expression: str
    timezone: str
    name: str
    anchor_seconds: int
    fire_seconds: int
    overlap: str
    max_retries: int | None
    priority: int
    executor: str
    max_concurrent_runs: int
    organisation_id: int
    organisation_limit: int
    agent_id: int | None
    agent_limit: int | None

    @property
    def fire(self) -> datetime:
        return datetime.fromtimestamp(self.fire_seconds, tz=UTC)


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
    return is_postgresql()


def plan_fast(now: datetime) -> int:
    """Plan, admit and publish what is plainly due, some batches of it. Returns how many schedules it dealt with.

    While the database writes one batch, on a second connection, this process works out the next.
    """
    due = [Due._make(row) for row in fetch(DUE, [now, now - ON_TIME, BATCH * BATCHES], by_value=True)]
    if not due:
        return 0
    standing, course = _Standing(now), _Course(now)
    batches = [due[at : at + BATCH] for at in range(0, len(due), BATCH)]
    if len(batches) == 1:
        fires = _prepared(due, course, standing)
        return _finish(fires, _write(fires, now))
    done, under_way = 0, None
    for batch in batches:
        fires = _prepared(batch, course, standing)
        if under_way:
            done += _finish(*under_way())
        under_way = _begin(fires, now)
    return done + (_finish(*under_way()) if under_way else 0)


def _begin(fires: list[Fire], now: datetime) -> Callable[[], tuple[list[Fire], dict[int, int]]]:
    """Write them on the second connection; the answer is asked for later."""
    written = _second_connection().submit(_write_there, fires, now)
    return lambda: (fires, written.result())


@cache
def _second_connection() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="fast-lane")


def _write_there(fires: Sequence[Fire], now: datetime) -> dict[int, int]:
    try:
        return _write(fires, now)
    except (OperationalError, InterfaceError):
        connection.close()  # the next batch gets a new one
        raise


def _prepared(due: Sequence[Due], course: _Course, standing: _Standing) -> list[Fire]:
    """Their fires, with a token where they have their slots."""
    active = _active(due)
    fires = [fire for each in due if (fire := _fire(each, active.get(each.pk, 0), course))]
    _take_slots(_fair(fires), standing)
    return fires


def _finish(fires: Sequence[Fire], runs: dict[int, int]) -> int:
    """Publish those whose runs were written, give back the slots of the others."""
    admitted = [fire for fire in fires if fire.token]
    _give_back([fire for fire in admitted if fire.due.pk not in runs])
    _publish([(fire, runs[fire.due.pk]) for fire in admitted if fire.due.pk in runs])
    return len(fires)


class _Course:
    """The next fires of a call: jobs that are due at once often have one and the same rule."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._known: dict[tuple[object, ...], datetime | None] = {}

    def after(self, due: Due) -> datetime | None:
        """The fire after the one that is due. Raises ``timing.ExpressionError``."""
        own = (due.name if "~" in due.expression else "", due.anchor_seconds if "@every" in due.expression else 0)
        key = (due.expression, due.timezone, due.fire_seconds, *own)
        if key not in self._known:
            anchor = datetime.fromtimestamp(due.anchor_seconds, tz=UTC)
            rule = timing.parse(due.expression, timezone=due.timezone, job_name=due.name, anchor=anchor)
            self._known[key] = rule.next_after(due.fire)
        return self._known[key]

    def is_over(self, following: datetime | None) -> bool:
        return following is not None and following <= self._now


def _fire(due: Due, active: int, course: _Course) -> Fire | None:
    """The run it plainly becomes, or None: then ``planning`` decides."""
    executor = executors().get(due.executor)
    if executor is None or executor.hold != "shared" or active > _MAY_BE_ACTIVE[due.overlap]:
        return None
    try:
        following = course.after(due)
    except timing.ExpressionError:
        return None
    if course.is_over(following):
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
    return dict(fetch(ACTIVE, [_array(each.pk for each in due)]))


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
    for fire in sorted(fires, key=lambda fire: (-fire.due.priority, fire.due.fire_seconds, fire.due.pk)):
        turn = turns[fire.due.organisation_id] = turns.get(fire.due.organisation_id, -1) + 1
        order.append((turn, fire))
    return [fire for _, fire in sorted(order, key=lambda each: each[0])]


class _Standing:
    """Who waits already and what the queues have room for, through all batches of a call."""

    def __init__(self, now: datetime) -> None:
        seen = candidates.outlook(now, count_messages=True)
        self.waiting = {lane.organisation_id for lane in seen.lanes}
        self.bars, self.room = Bars(now), admission.room_of(seen)

    def may_ask(self, fire: Fire) -> bool:
        """Whether nobody waits before it and its queue has room, which it then takes."""
        left = self.room.get(fire.queue, 0)
        if fire.due.organisation_id in self.waiting or self.bars.bar(fire.due.agent_id) or left <= 0:
            return False
        self.room[fire.queue] = left - 1
        return True


def _take_slots(fires: Sequence[Fire], standing: _Standing) -> None:
    """Set the token of those that may start at once; the others' organisations have somebody waiting from now on."""
    asked = [fire for fire in fires if standing.may_ask(fire)]
    holders = [slots.Holder(key=fire.key, attempt=1, scopes=fire.scopes) for fire in asked]
    try:
        answers = slots.acquire_each(holders) if holders else []
    except (slots.RedisError, slots.SlotsNotReady) as error:
        logger.warning("the runs of this tick wait for their slots: %s", error)
        answers = [holder.scopes[0] for holder in holders]
    for fire, full in zip(asked, answers, strict=True):
        if full is None:
            fire.token = new_token()
    standing.waiting |= {fire.due.organisation_id for fire in fires if not fire.token}


def _write(fires: Sequence[Fire], now: datetime) -> dict[int, int]:
    """Advance and insert by one statement. Returns the run of each schedule that nobody had changed meanwhile."""
    columns = [
        _array(fire.due.pk for fire in fires),
        _array(fire.due.version for fire in fires),
        _array(fire.due.fire_seconds for fire in fires),
        _array(int(fire.following.timestamp()) if fire.following else "NULL" for fire in fires),
        _array(fire.key for fire in fires),
        _array(fire.token or '""' for fire in fires),
        _array(fire.queue for fire in fires),
        _array(fire.retries for fire in fires),
    ]
    return dict(fetch(PLAN_AND_ADMIT, [*columns, now, timing.zone_data_version()]))


def _array(values: Iterable[int | str]) -> str:
    """As PostgreSQL writes an array; of numbers, and of texts of our own making that need no quotes."""
    return f"{{{','.join(map(str, values))}}}"


def _give_back(fires: Sequence[Fire]) -> None:
    """Somebody else was first. When that was a beat that planned the same run, the slot is its own."""
    if not fires:
        return
    keys = [fire.key for fire in fires]
    held = set(Run.objects.active().filter(job_run_id__in=keys).values_list("job_run_id", flat=True))
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
