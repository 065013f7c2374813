"""``job run``: run a job now, and with ``--wait`` see it through."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from schedules.console.log import show_new_lines
from schedules.models import Run
from schedules.services.runs import run_now
from schedules.services.schedules import schedule_named
from schedules.words import outcome_text, state_text

POLL_SECONDS = 0.2
#: After which a run that only waits is told of again.
QUIET_SECONDS = 10.0
OUTCOMES = {Run.Status.SUCCESS: Exit.DONE, Run.Status.SKIPPED: Exit.SKIPPED}


class RunNow(Subcommand):
    name = "run"
    help = "Run a job now, whatever its timing. Exit code with --wait: 0 success, 1 failed, 3 skipped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", metavar="NAME")
        parser.add_argument("--wait", action="store_true", help="wait for its end and show its log as it comes")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        schedule = schedule_named(self.organisation(options), options["job"])
        requested = run_now(schedule=schedule, actor=self.actor())
        screen.data(requested.run.job_run_id)
        if requested.note:
            screen.say(requested.note)
        if options["wait"]:
            return wait_for(requested.run, screen)
        screen.say(f"Watch it: manage.py job logs {schedule.name} --last --follow")
        return Exit.DONE


def wait_for(run: Run, screen: Screen, *, shows_log: bool = True) -> int:
    """Show log and states until the run is over. Ctrl-C ends the watching, not the run."""
    try:
        return _watch(run, screen, shows_log=shows_log)
    except KeyboardInterrupt:
        screen.say(
            f"{run.job_run_id} goes on. Watch it: manage.py job logs {run.schedule_name} --follow; "
            f"end it: manage.py job cancel {run.job_run_id}"
        )
        raise


def _watch(run: Run, screen: Screen, *, shows_log: bool) -> int:
    cursor, said, waits = "", "", time.monotonic()
    while True:
        # The state first: what it logged before its end is then there to read.
        run.refresh_from_db()
        cursor = show_new_lines(run, cursor, screen) if shows_log else ""
        if run.is_over:
            break
        if (state := _plain(run)) != said:
            screen.say(f"{run.job_run_id}: {state_text(run)}")
            said, waits = state, time.monotonic()
        elif run.status == Run.Status.QUEUED and time.monotonic() - waits > QUIET_SECONDS:
            screen.say(f"{run.job_run_id}: still {state_text(run)}. manage.py status says who is there to do it.")
            waits = time.monotonic()
        time.sleep(POLL_SECONDS)
    screen.say(f"{run.job_run_id}: {run.get_status_display()}. {outcome_text(run)}".strip())
    return OUTCOMES.get(Run.Status(run.status), Exit.FAILURE)


def _plain(run: Run) -> str:
    """What tells one state from the next, without the countdown in its words."""
    return f"{run.status} {run.attempt} {bool(run.admission_token)}"
