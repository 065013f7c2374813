"""The leader lease: of several beats one plans, the others stand by.

It keeps two beats from doing the same work; that nothing is planned twice rests on uniqueness in the database.
"""

from __future__ import annotations

import os
import secrets
import socket
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from schedules.engine.clock import database_now
from schedules.engine.events import engine_event
from schedules.models import EngineEvent, EngineLease

NAME = "beat"
CLOCK_SLACK = timedelta(seconds=5)


class Leadership:
    """One beat's claim to lead."""

    def __init__(self) -> None:
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    def hold(self) -> bool:
        """Take or renew the lease. Returns whether this process leads until ``leader_seconds`` from now."""
        now = database_now()
        until = now + timedelta(seconds=settings.WATCHBILL.leader_seconds)
        with transaction.atomic():
            lease, _ = EngineLease.objects.get_or_create(name=NAME, defaults={"expires_at": now, "renewed_at": now})
            # A lease that ends later than any could was taken before the clock was set back.
            free = Q(holder=self.holder) | Q(expires_at__lte=now) | Q(expires_at__gt=until + CLOCK_SLACK)
            rows = EngineLease.objects.filter(free, name=NAME)
            held = bool(rows.update(holder=self.holder, expires_at=until, renewed_at=now))
            if held and lease.holder != self.holder:
                engine_event(EngineEvent.Kind.LEADER, _told(self.holder, lease, now), at=now)
            return held

    def resign(self) -> None:
        """Let a stand-by take over at once."""
        EngineLease.objects.filter(name=NAME, holder=self.holder).update(expires_at=database_now())


def _told(holder: str, lease: EngineLease, now: datetime) -> str:
    """Who leads instead of whom. A lease that was given back, or never held, left no gap."""
    name, former = holder.rpartition(":")[0], lease.holder.rpartition(":")[0]
    if not former:
        return f"{name} leads"
    silence = (now - lease.renewed_at).total_seconds()
    return f"{name} leads; {former} last renewed its lease {silence:.1f} s before"
