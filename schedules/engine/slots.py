"""Semaphores on Redis: a scope's slots are a plain set of ``run:attempt``, without expiry.

The run's lease is the only lease: a slot goes when the database says that its run no longer holds it. The attempt is
part of it, so that a release that comes late never frees the slot of the next attempt.

Everything fails closed until :func:`rebuild` has written the slots from the database. The epoch key tells that it
has: it holds the ``run_id`` of the Redis process that was written to, and the script compares. So an emptied Redis
(no key) fails closed, and so does a restarted or failed-over one, although old data came back from disk.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from redis.exceptions import NoScriptError, RedisError

from schedules.engine.clock import database_now
from schedules.engine.connection import client
from schedules.models import Backfill, EngineLease, Run, Schedule

if TYPE_CHECKING:
    from redis import Redis

    from fleet.models import Organisation

logger = logging.getLogger(__name__)

PREFIX = "watchbill:"
EPOCH_KEY = f"{PREFIX}epoch"
SLOTS_PATTERN = f"{PREFIX}slots:*"

# All scopes or none, in one call; the slot of the run's former attempt, which a lost one still holds, becomes this
# one's. ARGV: the two members, how many of the scopes are joined, their limits; the scopes behind them have to be
# empty. Returns -1 on a wrong epoch, 0 when taken, else the number of the full scope.
ACQUIRE = """
local epoch = redis.call('GET', KEYS[1])
if not epoch or not string.find(redis.call('INFO', 'server'), 'run_id:' .. epoch, 1, true) then return -1 end
local joined = tonumber(ARGV[3])
for i = 1, joined do
  local key, limit = KEYS[i + 1], tonumber(ARGV[i + 3])
  local own = redis.call('SISMEMBER', key, ARGV[1]) + redis.call('SISMEMBER', key, ARGV[2])
  if own == 0 and limit >= 0 and redis.call('SCARD', key) >= limit then return i end
end
for i = joined + 1, #KEYS - 1 do
  if redis.call('SCARD', KEYS[i + 1]) > 0 then return i end
end
for i = 1, joined do
  redis.call('SREM', KEYS[i + 1], ARGV[2])
  redis.call('SADD', KEYS[i + 1], ARGV[1])
end
return 0
"""
ACQUIRE_SHA = hashlib.sha1(ACQUIRE.encode(), usedforsecurity=False).hexdigest()


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


def scopes_of(run: Run) -> list[Scope]:
    """The scopes of a run with the limits in force now, those it joins first.

    Reads organisation, schedule, backfill and agent of the run. A recovery passes the limits of organisation and
    schedule, never the hold of its agent.
    """
    limited = run.hold != Run.Hold.RECOVERY
    scopes = [_scope("organisation", run.organisation, limited=limited)]
    if run.backfill is not None:
        scopes.append(_scope("backfill", run.backfill, limited=limited))
    elif run.schedule is not None:
        scopes.append(_scope("schedule", run.schedule, limited=limited))
    return scopes + _agent_scopes(run)


def _scope(kind: str, of: Organisation | Schedule | Backfill, *, limited: bool) -> Scope:
    return Scope(name=f"{kind}:{of.pk}", limit=of.max_concurrent_runs if limited else None)


def _agent_scopes(run: Run) -> list[Scope]:
    """Beside others as far as the agent's limit goes and nobody holds it alone; or alone."""
    if run.agent is None:
        return []
    alone = run.hold != Run.Hold.SHARED
    return [
        Scope(name=f"agent:{run.agent_id}", limit=1 if alone else run.agent.max_concurrent_runs),
        Scope(name=f"alone:{run.agent_id}", limit=1, joins=alone),
    ]


def member_of(run: Run) -> str:
    """What stands in the sets for a run's present attempt."""
    return f"{run.pk}:{run.attempt}"


def places_of(run: Run) -> list[tuple[Scope, str]]:
    """The scopes in which a run that holds its slots stands, and as what."""
    return [(scope, member_of(run)) for scope in scopes_of(run) if scope.joins]


def acquire(run_id: int, attempt: int, scopes: list[Scope]) -> Scope | None:
    """Take a slot in every scope, or none. Idempotent. Returns the scope that is full, None when taken.

    Raises :class:`SlotsNotReady` before a rebuild, ``RedisError`` when Redis can't be reached.
    """
    keys = [EPOCH_KEY, *(scope.key for scope in scopes)]
    members = [f"{run_id}:{attempt}", f"{run_id}:{attempt - 1}"]
    limits = [scope.limit for scope in scopes if scope.joins]
    values = [*keys, *members, str(len(limits)), *("-1" if limit is None else str(limit) for limit in limits)]
    redis = client()
    try:
        answer = int(redis.evalsha(ACQUIRE_SHA, len(keys), *values))
    except NoScriptError:
        answer = int(redis.eval(ACQUIRE, len(keys), *values))
    if answer < 0:
        raise SlotsNotReady
    return scopes[answer - 1] if answer else None


def release(run_id: int, attempt: int, scopes: Iterable[Scope]) -> None:
    """Give the slots of this attempt and of the one before back, never those of a later one. Idempotent.

    Only after the database says that the run no longer holds them.
    """
    pipeline = client().pipeline(transaction=False)
    for scope in scopes:
        pipeline.srem(scope.key, f"{run_id}:{attempt}", f"{run_id}:{attempt - 1}")
    pipeline.execute()


def release_after_commit(runs: Iterable[Run]) -> None:
    """Free the slots of runs that the present transaction ended. When Redis is away, the sweep of the beat does it."""
    held = [(run.pk, run.attempt, scopes_of(run)) for run in runs]

    def free() -> None:
        try:
            for run_id, attempt, scopes in held:
                release(run_id, attempt, scopes)
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
        _write(client(), Run.objects.holding_slots().with_limits())
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
    "RedisError",
    "Scope",
    "SlotsNotReady",
    "acquire",
    "drop",
    "held",
    "is_ready",
    "member_of",
    "places_of",
    "put",
    "rebuild",
    "rebuild_if_needed",
    "release",
    "release_after_commit",
    "scopes_of",
)
