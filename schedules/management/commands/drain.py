"""``manage.py drain``: let workers finish, and hand the rest back."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from fleet.console import Exit, Screen
from fleet.console.base import answer
from schedules.engine.clock import database_now
from schedules.engine.workers import GONE_AFTER
from schedules.models import WorkerProcess
from schedules.services.draining import workers_drain, workers_left

LOOK_SECONDS = 0.5


class Command(BaseCommand):
    help = (
        "Tell workers to finish what they do, take nothing new, and end. What still runs after DRAIN_SECONDS goes back "
        "to the queue."
    )
    requires_system_checks = []  # noqa: RUF012 - Django's own form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("workers", nargs="*", metavar="WORKER", help="as `manage.py status` names it; none: all")
        parser.add_argument("--wait", action="store_true", help="stay until they have ended, and say how far they are")

    def handle(self, *_: Any, **options: Any) -> None:
        screen = Screen()
        if code := answer(lambda: _drain(options["workers"], wait=options["wait"], screen=screen), screen):
            sys.exit(code)


def _drain(names: Sequence[str], *, wait: bool, screen: Screen) -> int:
    workers = workers_drain(names=names)
    screen.data(f"Draining {', '.join(map(_told, workers))}.")
    screen.data("They take nothing new. What still runs when a worker's DRAIN_SECONDS are over goes back to the queue.")
    if not wait:
        screen.data("They end by themselves; `manage.py drain --wait` stays until they have.")
        return Exit.DONE
    try:
        gone = _wait([worker.name for worker in workers], screen)
    except KeyboardInterrupt:
        screen.say("The drain goes on without you; `manage.py status` says how far it is.")
        raise
    screen.data("They have ended. Start them again, unless a supervisor does: celery -A config worker -Q …")
    return Exit.FAILURE if gone else Exit.DONE


def _told(worker: WorkerProcess) -> str:
    return f"{worker.name} ({worker.at_work} at work)"


def _wait(names: Sequence[str], screen: Screen) -> list[str]:
    """Stay until none is left. Returns those that fell silent: they died before they were done."""
    said, silent = "", list[str]()
    while left := [worker for worker in workers_left(names) if worker.name not in silent]:
        now = database_now()
        for worker in left:
            if now - worker.seen_at > GONE_AFTER:
                silent.append(worker.name)
                screen.say(f"{worker.name} does not report any more: it died. The rescue takes what it had.")
        text = f"{len(left)} to go: {', '.join(map(_told, left))}"
        if text != said:
            screen.data(said := text)
        time.sleep(LOOK_SECONDS)
    return silent
