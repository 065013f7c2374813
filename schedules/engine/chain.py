"""A worker that ended a run takes the next message of the same executor itself, without Celery in between.

Celery's way from one task to the next leads through the worker's parent process, to the broker and back: for short
runs that was a third of the work. A message that is taken here and never claimed, since the process was killed, is
one that was lost: the sweep publishes it again.

A chain is short, so that other queues of the worker have their turn, and ends when the worker drains. Once a worker was
asked for the events of its tasks, as Flower asks, nothing is chained there: each run is a task of its own.
"""

from __future__ import annotations

import logging
import mmap
import time

from redis.exceptions import RedisError

from schedules.engine import draining
from schedules.engine.claims import Claim, claim_of
from schedules.engine.connection import Script
from schedules.engine.messages import arguments_of
from schedules.models import Run

logger = logging.getLogger(__name__)

SECONDS = 0.25

# Mapped when the parent imports this, before it forks: its children read what it has written.
_WATCHED = mmap.mmap(-1, mmap.PAGESIZE)

# KEYS: the queue. ARGV: the task. Takes the queue's next message when it is one of this task.
_TAKE = Script("""
local message = redis.call('LINDEX', KEYS[1], -1)
if not message then return false end
local is_json, made = pcall(cjson.decode, message)
if not is_json or type(made) ~= 'table' or type(made.headers) ~= 'table' or made.headers.task ~= ARGV[1] then
  return false
end
return redis.call('RPOP', KEYS[1])
""")


class Chain:
    """What one worker process takes behind a message that Celery gave it."""

    def __init__(self) -> None:
        self._until = time.monotonic() + SECONDS

    def end(self) -> None:
        """Take nothing more: what went wrong may be this process's own fault."""
        self._until = 0.0

    def next(self, *, after: Run) -> Claim | None:
        """What waits next in the queue of a run that is done, if for the same executor; it is off the queue then."""
        if time.monotonic() > self._until or draining.is_draining() or _WATCHED[0]:
            return None
        try:
            return self._take(after)
        except RedisError as error:
            logger.warning("the next message comes by Celery: %s", error)
        except Exception:
            # The run that is done is not recorded yet: whatever the message holds must not keep it from being.
            logger.exception("a message for %s was dropped", after.executor)
        return None

    def _take(self, after: Run) -> Claim | None:
        message = _TAKE([after.queue], [after.executor])
        if message is None:
            return None
        claim = claim_of(*arguments_of(message))
        if claim is None:
            logger.error("a message for %s was dropped: its arguments name no attempt of a run", after.executor)
        return claim


def watched(*, by_somebody: bool) -> None:
    """Tell this worker's processes whether somebody follows its tasks one by one."""
    _WATCHED[0] = by_somebody
