"""Database, Redis, beat, workers and queues."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.utils import timezone

from monitoring.status.base import Finding, StatusCheck
from schedules.engine.clock import database_now
from schedules.engine.connection import client
from schedules.engine.leader import NAME
from schedules.engine.publishing import queue_lengths
from schedules.engine.workers import workers_alive
from schedules.executors.registry import QUEUES
from schedules.models import EngineEvent, EngineLease, Run, Schedule

# Beat renews its lease every few seconds; a schedule planned later than this is late enough to say so.
LATE = timedelta(seconds=10)
LATELY = timedelta(days=1)


class Database(StatusCheck):
    part, order = "database", 10

    def look(self) -> Finding:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return self.up(connection.vendor)


class RedisServer(StatusCheck):
    part, order = "redis", 20

    def look(self) -> Finding:
        version = client().info("server")["redis_version"]
        return self.up(f"Redis {version}")


class Beat(StatusCheck):
    part, order = "beat", 30

    def look(self) -> Finding:
        now = database_now()
        lease = EngineLease.objects.filter(name=NAME).first()
        if lease is None or lease.expires_at <= now:
            since = f"since {lease.renewed_at:%Y-%m-%d %H:%M:%S} UTC" if lease else "and never was"
            return self.down(f"no beat is alive {since}: schedules do not fire. Start one: celery -A config beat")
        late = self._lateness()
        if late > LATE:
            return self.down(f"alive, but {late.total_seconds():.0f} s late: more is due than it can plan")
        return self.up(f"alive ({lease.holder.rpartition(':')[0]}), {late.total_seconds():.1f} s late")

    def _lateness(self) -> timedelta:
        now = timezone.now()
        oldest = Schedule.objects.due(now).values_list("next_run_at", flat=True).first()
        return now - oldest if oldest else timedelta(0)


class Workers(StatusCheck):
    part, order = "workers", 40

    def look(self) -> Finding:
        workers = workers_alive()
        if not workers:
            return self.down("no worker is alive: runs wait in the queue. Start one: celery -A config worker -Q …")
        served = {queue for worker in workers for queue in worker.queues}
        unserved = [queue for queue in QUEUES if queue not in served]
        slots = sum(worker.slots for worker in workers)
        draining = [worker.name for worker in workers if worker.drains_since]
        detail = f"{len(workers)} alive, {slots} slots" + (f"; draining: {', '.join(draining)}" if draining else "")
        return self.down(f"{detail}; nobody serves: {', '.join(unserved)}") if unserved else self.up(detail)


class Queues(StatusCheck):
    part, order = "queues", 45

    def look(self) -> Finding:
        lengths = queue_lengths(QUEUES)
        waiting = Run.objects.waiting(database_now()).count()
        running = Run.objects.holding_slots().filter(status=Run.Status.RUNNING).count()
        busy = ", ".join(f"{name} {count}" for name, count in lengths.items() if count) or "empty"
        return self.up(f"{running} running, {waiting} waiting for a slot; on the broker: {busy}")


class Events(StatusCheck):
    """What happened to the engine lately. It never counts as down: what is wrong now is said by the other parts."""

    part, order = "events", 90

    def look(self) -> Finding:
        last = EngineEvent.objects.first()
        if last is None:
            return self.up("none yet")
        lately = EngineEvent.objects.filter(at__gt=database_now() - LATELY).count()
        return self.up(f"{lately} in the last day; the last one {last.at:%Y-%m-%d %H:%M:%S} UTC, {last}")
