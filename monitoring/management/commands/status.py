"""``manage.py status``: is every part of the watch up? (SOP-001 §7.3)"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from fleet.console import Exit, Screen
from monitoring.status import findings


class Command(BaseCommand):
    help = "Show whether beat, workers, queues, Redis, database and storage are up. Exit code 1 when something is down."
    requires_system_checks = []  # noqa: RUF012 - Django's own form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *_: Any, **options: Any) -> None:
        screen, found = Screen(), findings()
        if options["json"]:
            screen.json([{"part": each.part, "ok": each.ok, "detail": each.detail} for each in found])
        else:
            screen.table(["PART", "STATE", "DETAIL"], [[f.part, "up" if f.ok else "DOWN", f.detail] for f in found])
        if not all(each.ok for each in found):
            sys.exit(Exit.FAILURE)
