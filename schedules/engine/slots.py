"""Semaphores on Redis: a scope's slots are a plain set of run ids, without expiry.

The run's lease is the only lease: a slot goes when the database says that its run no longer holds it.

Everything fails closed until :func:`rebuild` has written the slots from the database. Two things tell that it has:
the epoch key (gone after FLUSHALL or on an empty Redis) and the script itself, which only a rebuild loads (gone
after a restart or a fail-over, even where old data came back from disk).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from redis.exceptions import NoScriptError, RedisError

from schedules.engine.clock import database_now
from schedules.engine.connection import client
from schedules.models import EngineLease, Run

if TYPE_CHECKING:
    from redis import Redis

PREFIX = "watchbill:"
EPOCH_KEY = f"{PREFIX}epoch"
SLOTS_PATTERN = f"{PREFIX}slots:*"

# All scopes or none, in one call. Returns -1 without an epoch, 0 when taken, else the number of the full scope.
ACQUIRE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
for i = 2, #KEYS do
  if redis.call('SISMEMBER', KEYS[i], ARGV[1]) == 0 and redis.call('SCARD', KEYS[i]) >= tonumber(ARGV[i]) then
    return i - 1
  end
end
for i = 2, #KEYS do redis.call('SADD', KEYS[i], ARGV[1]) end
return 0
"""
ACQUIRE_SHA = hashlib.sha1(ACQUIRE.encode(), usedforsecurity=False).hexdigest()


class SlotsNotReady(Exception):
    """Redis does not hold the slots that the database knows of: rebuild first."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What is limited (``organisation:3``) and to how many runs at once."""

    name: str
    limit: int

    @property
    def key(self) -> str:
        return f"{PREFIX}slots:{self.name}"


def scopes_of(run: Run) -> list[Scope]:
    """The scopes of a run with the limits in force now; reads organisation, schedule and agent of the run."""
    scopes = [Scope(name=f"organisation:{run.organisation_id}", limit=run.organisation.max_concurrent_runs)]
    if run.schedule is not None:
        scopes.append(Scope(name=f"schedule:{run.schedule_id}", limit=run.schedule.max_concurrent_runs))
    if run.agent is not None:
        scopes.append(Scope(name=f"agent:{run.agent_id}", limit=run.agent.max_concurrent_runs))
    return scopes


def acquire(run_id: int, scopes: list[Scope]) -> Scope | None:
    """Take a slot in every scope, or none. Idempotent. Returns the scope that is full, None when taken.

    Raises :class:`SlotsNotReady` before a rebuild, ``RedisError`` when Redis can't be reached.
    """
    keys = [EPOCH_KEY, *(scope.key for scope in scopes)]
    try:
        answer = int(client().evalsha(ACQUIRE_SHA, len(keys), *keys, run_id, *(scope.limit for scope in scopes)))
    except NoScriptError as error:
        raise SlotsNotReady from error
    if answer < 0:
        raise SlotsNotReady
    return scopes[answer - 1] if answer else None


def release(run_id: int, scopes: Iterable[Scope]) -> None:
    """Give the slots back. Only after the database says that the run no longer holds them. Idempotent."""
    pipeline = client().pipeline(transaction=False)
    for scope in scopes:
        pipeline.srem(scope.key, run_id)
    pipeline.execute()


def is_ready() -> bool:
    """Whether a rebuild has been completed on the Redis that answers now."""
    redis = client()
    return bool(redis.exists(EPOCH_KEY)) and bool(redis.script_exists(ACQUIRE_SHA)[0])


def rebuild_if_needed() -> bool:
    """As :func:`rebuild`, but without the lock when nothing is wrong."""
    return not is_ready() and rebuild()


def rebuild() -> bool:
    """Write the slots from the database, under one database lock. Returns whether it was needed."""
    with transaction.atomic():
        _lock()
        if is_ready():
            return False
        _write(client(), Run.objects.holding_slots().select_related("organisation", "schedule", "agent"))
        return True


def _lock() -> None:
    now = database_now()
    EngineLease.objects.get_or_create(name="slots", defaults={"expires_at": now, "renewed_at": now})
    EngineLease.objects.select_for_update().get(name="slots")


def _write(redis: Redis, runs: Iterable[Run]) -> None:
    pipeline = redis.pipeline(transaction=True)
    if stale := list(redis.scan_iter(SLOTS_PATTERN, count=1000)):
        pipeline.delete(*stale)
    for run in runs:
        for scope in scopes_of(run):
            pipeline.sadd(scope.key, run.pk)
    pipeline.script_load(ACQUIRE)
    pipeline.set(EPOCH_KEY, secrets.token_hex(8))
    pipeline.execute()


def held() -> dict[str, set[int]]:
    """What Redis holds now: scope name to run ids."""
    redis = client()
    keys = [key.decode() for key in redis.scan_iter(SLOTS_PATTERN, count=1000)]
    pipeline = redis.pipeline(transaction=False)
    for key in keys:
        pipeline.smembers(key)
    prefix = len(SLOTS_PATTERN) - 1
    return {
        key[prefix:]: {int(member) for member in members} for key, members in zip(keys, pipeline.execute(), strict=True)
    }


def put(pairs: Iterable[tuple[str, int]]) -> None:
    """Add slots that the database says are held, whatever the limit."""
    pipeline = client().pipeline(transaction=False)
    for name, run_id in pairs:
        pipeline.sadd(f"{SLOTS_PATTERN[:-1]}{name}", run_id)
    pipeline.execute()


def drop(pairs: Iterable[tuple[str, int]]) -> None:
    """Remove slots that the database says nobody holds."""
    pipeline = client().pipeline(transaction=False)
    for name, run_id in pairs:
        pipeline.srem(f"{SLOTS_PATTERN[:-1]}{name}", run_id)
    pipeline.execute()


__all__ = (
    "RedisError",
    "Scope",
    "SlotsNotReady",
    "acquire",
    "drop",
    "held",
    "is_ready",
    "put",
    "rebuild",
    "rebuild_if_needed",
    "release",
    "scopes_of",
)
