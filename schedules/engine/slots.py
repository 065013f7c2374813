"""Semaphores on Redis: a scope's slots are a plain set of ``job_run_id:attempt``, without expiry.

The run's lease is the only lease: a slot goes when the database says that its run no longer holds it. The attempt is
part of it, so that a release that comes late never frees the slot of the next attempt.

Everything fails closed until :func:`rebuild` has written the slots from the database. The epoch key tells that it
has: it holds the ``run_id`` of the Redis process that was written to, and the script compares. So an emptied Redis
(no key) fails closed, and so does a restarted or failed-over one, although old data came back from disk.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
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

# Each run gets a slot in all of its scopes or in none, one after the other, in one call. The slot of the run's former
# attempt, which a lost one still holds, becomes this one's. KEYS: the epoch, then every scope there is. ARGV, for each
# run: its two members, how many scopes it joins, for each of them its place in KEYS and its limit, how many scopes
# have to be empty, and their places. Returns nil on a wrong epoch; else, for each run, 0 or the place of what is full.
ACQUIRE = """
local epoch = redis.call('GET', KEYS[1])
if not epoch or not string.find(redis.call('INFO', 'server'), 'run_id:' .. epoch, 1, true) then return false end
local answers, at = {}, 1
while at <= #ARGV do
  local member, former, joined = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local scopes, after, full = at + 3, at + 3 + 2 * joined, 0
  for i = scopes, after - 2, 2 do
    local key, limit = KEYS[tonumber(ARGV[i])], tonumber(ARGV[i + 1])
    if limit >= 0 and redis.call('SCARD', key) >= limit
      and redis.call('SISMEMBER', key, member) + redis.call('SISMEMBER', key, former) == 0 then
      full = tonumber(ARGV[i])
      break
    end
  end
  local empty = tonumber(ARGV[after])
  for i = after + 1, after + empty do
    if full == 0 and redis.call('EXISTS', KEYS[tonumber(ARGV[i])]) == 1 then full = tonumber(ARGV[i]) end
  end
  if full == 0 then
    for i = scopes, after - 2, 2 do
      redis.call('SREM', KEYS[tonumber(ARGV[i])], former)
      redis.call('SADD', KEYS[tonumber(ARGV[i])], member)
    end
  end
  answers[#answers + 1] = full
  at = after + 1 + empty
end
return answers
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
    if run.agent is None:
        return scopes
    return scopes + agent_scopes(run.agent.pk, run.agent.max_concurrent_runs, alone=run.hold != Run.Hold.SHARED)


def _scope(kind: str, of: Organisation | Schedule | Backfill, *, limited: bool) -> Scope:
    return Scope(name=f"{kind}:{of.pk}", limit=of.max_concurrent_runs if limited else None)


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


def holder_of(run: Run) -> Holder:
    """A run's present attempt with the limits in force now."""
    return Holder(key=run.job_run_id, attempt=run.attempt, scopes=scopes_of(run))


def places_of(run: Run) -> list[tuple[Scope, str]]:
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
    scopes: dict[str, int] = {}
    values: list[str] = []
    for holder in holders:
        joined = [scope for scope in holder.scopes if scope.joins]
        others = [scope for scope in holder.scopes if not scope.joins]
        values += [holder.member, holder.former, str(len(joined))]
        for scope in joined:
            values += [_place(scopes, scope), "-1" if scope.limit is None else str(scope.limit)]
        values += [str(len(others)), *(_place(scopes, scope) for scope in others)]
    keys = [EPOCH_KEY, *scopes]
    redis = client()
    try:
        answers = redis.evalsha(ACQUIRE_SHA, len(keys), *keys, *values)
    except NoScriptError:
        answers = redis.eval(ACQUIRE, len(keys), *keys, *values)
    if answers is None:
        raise SlotsNotReady
    return [_full(holder, keys, place) for holder, place in zip(holders, answers, strict=True)]


def _place(scopes: dict[str, int], scope: Scope) -> str:
    """Where the scope's key stands among the script's KEYS, behind the epoch."""
    return str(scopes.setdefault(scope.key, len(scopes) + 2))


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
    "places_of",
    "put",
    "rebuild",
    "rebuild_if_needed",
    "release",
    "release_after_commit",
    "scopes_of",
)
