"""RedBeat with many entries, of which some are due.

``redbeats.py fill COUNT DUE``, then ``redbeats.py measure``, which prints JSON. What it does in a tick can't be
interrupted, so it is filled with no more due entries than end in reasonable time.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta

from celery import Celery
from celery.schedules import schedule
from redbeat.decoder import RedBeatJSONEncoder
from redbeat.schedulers import RedBeatScheduler, RedBeatSchedulerEntry, get_redis

app = Celery("redbeats", broker=os.environ["PEER_BROKER"])
app.conf.update(
    task_ignore_result=True,
    task_default_queue=os.environ["PEER_QUEUE"],
    redbeat_redis_url=os.environ["PEER_BROKER"],
    redbeat_redis_options={},
    redbeat_lock_key=None,
)


def fill(count: int, due: int) -> None:
    """What ``RedBeatSchedulerEntry.save`` writes, a thousand in a round trip."""
    now = datetime.now(tz=UTC)
    daily = schedule(timedelta(days=1), app=app)
    for first in range(0, count, 1000):
        pipeline = get_redis(app).pipeline(transaction=False)
        for number in range(first, min(first + 1000, count)):
            last = now - timedelta(days=2) if number < due else now
            entry = RedBeatSchedulerEntry(f"job{number}", "peer.noop", daily, [], {}, last_run_at=last, app=app)
            definition = {"name": entry.name, "task": entry.task, "args": entry.args, "kwargs": entry.kwargs}
            definition |= {"options": entry.options, "schedule": entry.schedule, "enabled": True}
            pipeline.hset(entry.key, "definition", json.dumps(definition, cls=RedBeatJSONEncoder))
            pipeline.hset(entry.key, "meta", json.dumps({"last_run_at": last}, cls=RedBeatJSONEncoder))
            pipeline.zadd(app.redbeat_conf.schedule_key, {entry.key: (last + timedelta(days=1)).timestamp()})
        pipeline.execute()


def measure() -> None:
    scheduler = RedBeatScheduler(app=app)
    begun = time.monotonic()
    scheduler.tick()
    taken = time.monotonic() - begun
    sent = get_redis(app).llen(os.environ["PEER_QUEUE"])
    print(json.dumps({"rate": sent / taken, "sent": sent}))


if __name__ == "__main__":
    {"fill": fill, "measure": measure}[sys.argv[1]](*map(int, sys.argv[2:]))
