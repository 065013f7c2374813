"""``job logs``: what a job's runs wrote (SOP-001 §5.3)."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from schedules.console.job.run import POLL_SECONDS, wait_for
from schedules.console.log import show_new_lines
from schedules.models import Run, Schedule
from schedules.services.runs import run_found
from schedules.services.schedules import schedule_named
from schedules.words import clock, fires_text, outcome_text, state_text

SHOWN = 5


class Logs(Subcommand):
    name = "logs"
    help = f"Show the log of a job's last {SHOWN} runs, or of the last one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", metavar="NAME")
        parser.add_argument("--last", action="store_true", help="only the latest run")
        parser.add_argument("--run", dest="job_run_id", default="", metavar="RUN", help="this run")
        parser.add_argument("--follow", action="store_true", help="stay with the latest run until it is over")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        schedule = schedule_named(self.organisation(options), options["job"])
        if options["job_run_id"]:
            _show(run_found(self.organisation(options), options["job_run_id"]), screen)
            return Exit.DONE
        count = 1 if options["last"] or options["follow"] else SHOWN
        runs = list(reversed(Run.objects.filter(schedule=schedule).order_by("-created_at")[:count]))
        if not runs and options["follow"]:
            runs = [_first_run(schedule, screen)]
        if not runs:
            screen.say(
                f"{schedule.name} has not run yet. {fires_text(schedule)} Run it now: manage.py job run {schedule.name}"
            )
            return Exit.FAILURE
        if options["follow"]:
            return wait_for(runs[-1], screen)
        for run in runs:
            _show(run, screen)
        return Exit.DONE


def _first_run(schedule: Schedule, screen: Screen) -> Run:
    screen.say(f"{schedule.name} has not run yet; waiting for its first run. {fires_text(schedule)}")
    while True:
        if run := Run.objects.filter(schedule=schedule).first():
            return run
        time.sleep(POLL_SECONDS)


def _show(run: Run, screen: Screen) -> None:
    screen.say(f"— {run.job_run_id}, {clock(run.started_at or run.created_at)}, {state_text(run)}")
    show_new_lines(run, "", screen)
    if not run.is_over:
        screen.say("It is not over yet; --follow stays with it.")
    elif text := outcome_text(run):
        screen.say(text)
