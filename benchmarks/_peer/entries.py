"""django-celery-beat's DatabaseScheduler with many entries, of which some are due.

``entries.py fill COUNT DUE`` once, then ``entries.py measure SECONDS``, which prints JSON.
"""

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import django
from celery import Celery

app = Celery("entries", broker=os.environ["PEER_BROKER"])
app.conf.update(task_ignore_result=True, task_default_queue=os.environ["PEER_QUEUE"])


def fill(count: int, due: int) -> None:
    from django_celery_beat.models import IntervalSchedule, PeriodicTask

    daily, _ = IntervalSchedule.objects.get_or_create(every=1, period="days")
    names = [f"{'due' if number < due else 'idle'}{number}" for number in range(count)]
    rows = (PeriodicTask(name=name, task="peer.noop", interval=daily) for name in names)
    PeriodicTask.objects.bulk_create(rows, batch_size=5000)


def measure(seconds: float) -> None:
    from django.utils.timezone import now
    from django_celery_beat.models import PeriodicTask
    from django_celery_beat.schedulers import DatabaseScheduler

    PeriodicTask.objects.update(last_run_at=now())
    PeriodicTask.objects.filter(name__startswith="due").update(last_run_at=now() - timedelta(days=2))
    begun = time.monotonic()
    scheduler = DatabaseScheduler(app=app)
    scheduler.tick()
    first, sent = time.monotonic(), 1
    # One entry a tick, as beat calls it.
    while time.monotonic() - first < seconds and scheduler.tick() == 0:
        sent += 1
    rate = sent / (time.monotonic() - first)
    edited = time.monotonic()
    PeriodicTask.objects.get(name="due0").save()
    scheduler.tick()
    edit = time.monotonic() - edited
    print(json.dumps({"rate": rate, "sent": sent, "start": first - begun, "edit": edit, "memory": memory()}))


def memory() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    django.setup()
    app.finalize()
    {"fill": fill, "measure": measure}[sys.argv[1]](*map(int, sys.argv[2:]))
