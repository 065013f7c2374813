"""Semaphores on Redis: a scope's slots are a plain set of ``job_run_id:attempt``, without expiry.

The run's lease is the only lease: a slot goes when the database says that its run no longer holds it. The attempt is
part of it, so that a release that comes late never frees the slot of the next attempt.

Everything fails closed until :func:`rebuild` has written the slots from the database. The epoch key tells that it
has: it holds the ``run_id`` of the Redis process that was written to, and the script compares. So an emptied Redis
(no key) fails closed, and so does a restarted or failed-over one, although old data came back from disk.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from django.db import transaction
from redis.exceptions import RedisError

from schedules.engine.clock import database_now
from schedules.engine.connection import client
from schedules.engine.events import engine_event
from schedules.engine.slots_lua import ACQUIRE, LOOKED, RELEASE
from schedules.models import EngineEvent, EngineLease, Run

if TYPE_CHECKING:
    from redis import Redis


logger = logging.getLogger(__name__)

PREFIX = "watchbill:"
EPOCH_KEY = f"{PREFIX}epoch"
SLOTS_PATTERN = f"{PREFIX}slots:*"


class SlotsNotReady(Exception):
    """Redis does not hold the slots that the database knows of: rebuild first."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What is limited (``organisation:3``) and to how many runs at once; no limit lets every run in, and counts it.

    A scope that a run does not join has to be empty for it.
    """

    name: str
    limit: int | None
    joins: bool = True

    @property
    def key(self) -> str:
        return f"{PREFIX}slots:{self.name}"


class Limited(Protocol):
    """A run as far as its limits go: a row, or a candidate of admission."""

    @property
    def job_run_id(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def hold(self) -> str: ...
    @property
    def organisation_id(self) -> int: ...
    @property
    def organisation_limit(self) -> int: ...
    @property
    def schedule_id(self) -> int | None: ...
    @property
    def schedule_limit(self) -> int | None: ...
    @property
    def backfill_id(self) -> int | None: ...
    @property
    def backfill_limit(self) -> int | None: ...
    @property
    def agent_id(self) -> int | None: ...
    @property
    def agent_limit(self) -> int | None: ...


def scopes_of(run: Limited) -> list[Scope]:
    """The scopes of a run with the limits in force now, those it joins first.

    A recovery passes the limits of organisation and schedule, never the hold of its agent.
    """
    limited = run.hold != Run.Hold.RECOVERY
    scopes = [Scope(name=f"organisation:{run.organisation_id}", limit=run.organisation_limit if limited else None)]
    if run.backfill_id is not None:
        scopes.append(Scope(name=f"backfill:{run.backfill_id}", limit=run.backfill_limit if limited else None))
    elif run.schedule_id is not None:
        scopes.append(Scope(name=f"schedule:{run.schedule_id}", limit=run.schedule_limit if limited else None))
    if run.agent_id is not None:
        scopes += agent_scopes(run.agent_id, run.agent_limit or 1, alone=run.hold != Run.Hold.SHARED)
    return scopes


def agent_scopes(agent_id: int, limit: int, *, alone: bool) -> list[Scope]:
    """Beside others as far as the agent's limit goes and nobody holds it alone; or alone."""
    return [
        Scope(name=f"agent:{agent_id}", limit=1 if alone else limit),
        Scope(name=f"alone:{agent_id}", limit=1, joins=alone),
    ]


@dataclass(frozen=True, kw_only=True)
class Holder:
    """An attempt of a run, and the scopes it stands in. The run's key is known before its row is there."""

    key: str
    attempt: int
    scopes: Sequence[Scope]

    @property
    def member(self) -> str:
        return f"{self.key}:{self.attempt}"

    @property
    def former(self) -> str:
        return f"{self.key}:{self.attempt - 1}"


def holder_of(run: Limited) -> Holder:
    """A run's present attempt with the limits in force now."""
    return Holder(key=run.job_run_id, attempt=run.attempt, scopes=scopes_of(run))


def places_of(run: Limited) -> list[tuple[Scope, str]]:
    """The scopes in which a run that holds its slots stands, and as what."""
    holder = holder_of(run)
    return [(scope, holder.member) for scope in holder.scopes if scope.joins]


def acquire(holder: Holder) -> Scope | None:
    """As :func:`acquire_each`, for one."""
    return acquire_each([holder])[0]


def acquire_each(holders: Sequence[Holder]) -> list[Scope | None]:
    """Take, for each in this order, a slot in every scope or none. Idempotent. Says what is full, None when taken.

    Raises :class:`SlotsNotReady` before a rebuild, ``RedisError`` when Redis can't be reached.
    """
    places: dict[str, int] = {}
    asked = []
    for holder in holders:
        joined = [
            (_place(places, scope), -1 if scope.limit is None else scope.limit)
            for scope in holder.scopes
            if scope.joins
        ]
        empty = [_place(places, scope) for scope in holder.scopes if not scope.joins]
        asked.append((holder.member, holder.former, joined, empty))
    keys = [EPOCH_KEY, *places]
    answers = ACQUIRE(keys, [json.dumps(asked)])
    if answers is None:
        raise SlotsNotReady
    return [_full(holder, keys, place) for holder, place in zip(holders, answers, strict=True)]


def _place(places: dict[str, int], scope: Scope) -> int:
    """Where the scope's key stands among the script's KEYS, behind the epoch."""
    return places.setdefault(scope.key, len(places) + 2)


def _full(holder: Holder, keys: Sequence[str], place: int) -> Scope | None:
    return next(scope for scope in holder.scopes if scope.key == keys[place - 1]) if place else None


def release(*holders: Holder) -> None:
    """Give the slots of these attempts and of the ones before back, never those of later ones. Idempotent.

    Only after the database says that the runs no longer hold them.
    """
    pipeline = client().pipeline(transaction=False)
    for holder in holders:
        for scope in holder.scopes:
            if scope.joins:
                pipeline.srem(scope.key, holder.member, holder.former)
    pipeline.execute()


def release_and_ask(holder: Holder, *, queue: str, enough: int) -> bool:
    """As :func:`release`; returns whether the caller should look for waiters now.

    No when ``enough`` messages wait in the queue anyway, or another process is looking: that one looks again, see
    :func:`looked`. The right to look ends by itself after a second.
    """
    joined = [scope.key for scope in holder.scopes if scope.joins]
    return bool(RELEASE([*_looking(queue), *joined], [holder.member, holder.former, str(enough)]))


def looked(*, queue: str, enough: int) -> bool:
    """The caller has looked for waiters. Returns whether it should once more: somebody released a slot meanwhile."""
    return bool(LOOKED(_looking(queue), [str(enough)]))


def _looking(queue: str) -> list[str]:
    """The queue, the right to look for what may go into it, and the wish that its holder looks once more."""
    return [queue, f"{PREFIX}looking:{queue}", f"{PREFIX}look-again:{queue}"]


def release_after_commit(runs: Iterable[Run]) -> None:
    """Free the slots of runs that the present transaction ended. When Redis is away, the sweep of the beat does it."""
    held = [holder_of(run) for run in runs]

    def free() -> None:
        try:
            release(*held)
        except RedisError as error:
            logger.warning("the sweep frees the slots: %s", error)

    transaction.on_commit(free)


def is_ready() -> bool:
    """Whether a rebuild has been completed on the Redis process that answers now."""
    redis = client()
    epoch = redis.get(EPOCH_KEY)
    return isinstance(epoch, bytes) and epoch.decode() == _run_id(redis)


def _run_id(redis: Redis) -> str:
    return str(redis.info("server")["run_id"])


def rebuild_if_needed() -> bool:
    """As :func:`rebuild`, but without the lock when nothing is wrong."""
    return not is_ready() and rebuild()


def rebuild() -> bool:
    """Write the slots from the database. Returns whether it was needed.

    Redis is called inside the transaction on purpose: the database lock must outlast the writing, or two rebuilds
    could undo each other's work. The calls have sub-second timeouts.
    """
    with transaction.atomic():
        _lock()
        if is_ready():
            return False
        holding = list(Run.objects.holding_slots().with_limits())
        _write(client(), holding)
        engine_event(EngineEvent.Kind.SLOTS_REBUILT, f"of {len(holding)} runs that hold them", at=database_now())
        return True


def _lock() -> None:
    now = database_now()
    EngineLease.objects.get_or_create(name="slots", defaults={"expires_at": now, "renewed_at": now})
    EngineLease.objects.select_for_update().get(name="slots")


def _write(redis: Redis, runs: Iterable[Run]) -> None:
    # Read before: a Redis that restarts while we write ends with an epoch that is not its own.
    epoch = _run_id(redis)
    pipeline = redis.pipeline(transaction=True)
    if stale := list(redis.scan_iter(SLOTS_PATTERN, count=1000)):
        pipeline.delete(*stale)
    for run in runs:
        for scope, member in places_of(run):
            pipeline.sadd(scope.key, member)
    pipeline.set(EPOCH_KEY, epoch)
    pipeline.execute()


def held() -> dict[str, set[str]]:
    """What Redis holds now: scope name to members."""
    redis = client()
    keys = [key.decode() for key in redis.scan_iter(SLOTS_PATTERN, count=1000)]
    pipeline = redis.pipeline(transaction=False)
    for key in keys:
        pipeline.smembers(key)
    prefix = len(SLOTS_PATTERN) - 1
    return {
        key[prefix:]: {member.decode() for member in members}
        for key, members in zip(keys, pipeline.execute(), strict=True)
    }


def put(pairs: Iterable[tuple[str, str]]) -> None:
    """Add slots that the database says are held, whatever the limit."""
    pipeline = client().pipeline(transaction=False)
    for name, member in pairs:
        pipeline.sadd(f"{SLOTS_PATTERN[:-1]}{name}", member)
    pipeline.execute()


def drop(pairs: Iterable[tuple[str, str]]) -> None:
    """Remove slots that the database says nobody holds."""
    pipeline = client().pipeline(transaction=False)
    for name, member in pairs:
        pipeline.srem(f"{SLOTS_PATTERN[:-1]}{name}", member)
    pipeline.execute()


__all__ = (
    "Holder",
    "RedisError",
    "Scope",
    "SlotsNotReady",
    "acquire",
    "acquire_each",
    "drop",
    "held",
    "holder_of",
    "is_ready",
    "looked",
    "places_of",
    "put",
    "rebuild",
    "rebuild_if_needed",
    "release",
    "release_after_commit",
    "release_and_ask",
    "scopes_of",
)
