"""One run of the machine: plant, storm, settling, verdict."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.chaos import evidence, timeline, verdict, world
from tests.chaos.asker import Asker
from tests.chaos.containers import Toy, toy
from tests.chaos.options import Options
from tests.chaos.plant import Plant, planted
from tests.chaos.storm import Storm, patiently


def run(options: Options) -> verdict.Verdict:
    with _folder(options.keep) as folder, toy_for(options) as container, planted(folder, options, container) as plant:
        _set_up_django(plant)
        return _Course(options, plant, container).run()


@contextmanager
def toy_for(options: Options) -> Iterator[Toy | None]:
    """A short run has no time for a container engine."""
    if options.fast:
        yield None
        return
    with toy() as found:
        yield found


@contextmanager
def _folder(keep: str) -> Iterator[Path]:
    """Short, since it holds sockets, and open to the user that PostgreSQL runs as."""
    path = Path(tempfile.mkdtemp(prefix="watchbill-chaos-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        if keep:
            target = Path(keep)
            target.mkdir(parents=True, exist_ok=True)
            for file in (*path.glob("data/*.log"), path / "witness"):
                shutil.copy(file, target)
        shutil.rmtree(path, ignore_errors=True)


def _set_up_django(plant: Plant) -> None:
    """This process reads the database past every proxy."""
    os.environ.update(plant.environment | {"DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "ERROR"})
    import django

    django.setup()
    import config.celery  # noqa: F401 - the poisoned messages are written by the app


class _Course:
    def __init__(self, options: Options, plant: Plant, container: Toy | None) -> None:
        self.options, self.plant, self.container = options, plant, container
        self._begun = time.monotonic()

    def say(self, text: str) -> None:
        sys.stderr.write(f"[{self.options.database} {time.monotonic() - self._begun:6.1f} s] {text}\n")
        sys.stderr.flush()

    def run(self) -> verdict.Verdict:
        keys = world.create(self.options, self.plant.trace, containers=self.container is not None)
        begins = evidence.begins_of_schedules()
        self.plant.heal()
        asker = Asker(f"http://127.0.0.1:{self.plant.web_port}", keys, self.options.seed)
        storm = Storm(self.plant, self.options, self.say)
        self._wait_for_work()
        asker.start()
        try:
            storm.rage()
        finally:
            asker.stop()
        self._settle(storm)
        return self._judge(storm, asker, evidence.gather(begins))

    def _wait_for_work(self) -> None:
        until = time.monotonic() + 60
        while not self.plant.trace.stat().st_size:
            assert time.monotonic() < until, f"nothing ever ran\n{self.plant.logs()}"
            time.sleep(0.1)
        self.say("the watch runs")

    def _settle(self, storm: Storm) -> None:
        """No more faults and no more fires: all that was planned has to end."""
        from schedules.models import Run

        self.plant.heal()
        patiently(_disable_all)
        patiently(_cancel_long)
        until = time.monotonic() + self.options.settle_limit
        while (left := patiently(lambda: Run.objects.active().count())) and time.monotonic() < until:
            storm.turn()
            time.sleep(0.5)
        self.say("all runs are over" if not left else f"{left} runs are not over")

    def _judge(self, storm: Storm, asker: Asker, found: evidence.Evidence) -> verdict.Verdict:
        lines = timeline.parse(self.plant.trace.read_text())
        orphans = self.container.left_running() if self.container else None
        complaints = evidence.complaints(self.plant.folder, storm.frozen)
        result = verdict.judged(
            options=self.options,
            evidence=found,
            lines=lines,
            accepted=asker.accepted,
            complaints=complaints,
            orphans=orphans,
            recoveries=storm.recoveries,
        )
        kinds = ", ".join(f"{count} {kind}" for kind, count in storm.thrown.most_common())
        asked = f"{len(asker.accepted)} taken, {asker.refused} refused or unanswered, {asker.cancelled} cancelled"
        alone = ", ".join(f"{count} x {part}" for part, count in self.plant.ended_alone.items())
        facts = {
            "faults injected": f"{sum(storm.thrown.values())} ({kinds})",
            "run now, by the API": asked,
            "processes that ended by themselves": alone or "0",
        }
        return verdict.Verdict(facts=facts | dict(result.facts), wrong=result.wrong, notes=result.notes)


def _disable_all() -> None:
    """As a person would: each fire until now is accounted for, none after it is expected."""
    from fleet.actors import Actor
    from schedules.models import Schedule
    from schedules.services.schedules import schedule_disable

    for schedule in Schedule.objects.filter(enabled=True):
        schedule_disable(schedule=schedule, actor=Actor.command("chaos"), reason="the storm is over")


def _cancel_long() -> None:
    """What was asked for and works for longer than a lease would keep the end waiting for many minutes."""
    from fleet.actors import Actor
    from fleet.errors import Conflict
    from schedules.models import Run
    from schedules.services.runs import run_cancel

    for run in Run.objects.active().filter(schedule_name="g-long"):
        with suppress(Conflict):
            run_cancel(run=run, actor=Actor.command("chaos"))
