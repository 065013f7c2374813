"""``job next``: the words of a timing and its next fires, of a saved job, of an expression, or of a whole table."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from fleet.errors import InvalidInput
from schedules import timing
from schedules.console.job.settings import read_time
from schedules.console.moments import ISO_HELP, utc_text
from schedules.console.next_lines import EXAMPLE, MOST, answers
from schedules.services.preview import USUAL_COUNT, Fire, Preview, preview_expression, preview_schedule, refusal
from schedules.services.schedules import schedule_named
from schedules.words import clock, distance, span

LOCAL = "%a %Y-%m-%d %H:%M:%S"


class Next(Subcommand):
    name = "next"
    help = "Show in words when a job fires, and its next fires."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = f"With --stdin a line is {EXAMPLE}"
        parser.add_argument(
            "job", metavar="NAME", nargs="?", help="a saved job: its dates, maximum and blackouts count"
        )
        parser.add_argument("--schedule", metavar="EXPR", help='a timing that need not be saved, such as "0 2 * * 1-5"')
        parser.add_argument("--timezone", metavar="ZONE", help="of --schedule (UTC)")
        parser.add_argument("--job-name", metavar="TEXT", help="what ~ in --schedule hashes")
        parser.add_argument(
            "--stdin", action="store_true", help="read a JSON object a line, answer a JSON object a line"
        )
        parser.add_argument(
            "--from",
            dest="from_time",
            default="",
            metavar="TIME",
            help=f"after when (now): {ISO_HELP} the schedule's zone",
        )
        parser.add_argument("-n", type=int, default=None, metavar="N", help=f"how many ({USUAL_COUNT})")
        parser.add_argument("--reader-timezone", metavar="ZONE", help="show the fires in this zone too")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        _check(options)
        if options["stdin"]:
            return _answer_lines(screen)
        preview = _of_expression(options) if options["schedule"] is not None else self._of_schedule(options)
        if options["json"]:
            screen.json(preview_json(preview, options["job"]))
        else:
            _show(preview, options["reader_timezone"], screen)
        return Exit.DONE

    def _of_schedule(self, options: dict[str, Any]) -> Preview:
        schedule = schedule_named(self.organisation(options), options["job"])
        return preview_schedule(
            schedule=schedule,
            after=_after(options, schedule.expression, schedule.timezone, schedule.name),
            count=_count(options),
            reader_timezone=options["reader_timezone"],
        )


def _of_expression(options: dict[str, Any]) -> Preview:
    timezone, job_name = options["timezone"] or "UTC", options["job_name"] or ""
    return preview_expression(
        expression=options["schedule"],
        timezone=timezone,
        job_name=job_name,
        after=_after(options, options["schedule"], timezone, job_name),
        count=_count(options),
        reader_timezone=options["reader_timezone"],
    )


def _after(options: dict[str, Any], expression: str, timezone: str, job_name: str) -> datetime | None:
    """``--from``, read in the zone that counts: CRON_TZ= wins over the schedule's own."""
    try:
        zone = timing.parse(expression, timezone=timezone, job_name=job_name).timezone
    except timing.ExpressionError as error:
        raise refusal(error) from error
    after: datetime | None = read_time(options["from_time"], zone=zone, field="from")
    return after


def _check(options: dict[str, Any]) -> None:
    given = [bool(options["job"]), options["schedule"] is not None, options["stdin"]]
    if sum(given) != 1:
        raise InvalidInput(
            "Name a job, or a timing (--schedule), or read a table (--stdin): one of the three. "
            'For example: manage.py job next --schedule "0 2 * * *" --timezone Asia/Shanghai'
        )
    if not options["schedule"]:
        for name in ("timezone", "job_name"):
            if options[name] is not None:
                raise InvalidInput(f"--{name.replace('_', '-')} belongs to --schedule.", field=name)
    if options["stdin"]:
        for name in ("from_time", "n", "reader_timezone"):
            if options[name] not in {None, ""}:
                raise InvalidInput(f"With --stdin each line says it all: {EXAMPLE}", field=name)


def _count(options: dict[str, Any]) -> int:
    count = USUAL_COUNT if options["n"] is None else int(options["n"])
    if not 1 <= count <= MOST:
        raise InvalidInput(f"-n is from 1 to {MOST:,}, not {count:,}; try -n {USUAL_COUNT}.", field="n")
    return count


def _answer_lines(screen: Screen) -> int:
    if sys.stdin.isatty():
        screen.say(f"One JSON object a line, Ctrl-D ends: {EXAMPLE}")
    for line in answers(sys.stdin.buffer):
        screen.data(line)
    return Exit.DONE


def preview_json(preview: Preview, job: str | None) -> dict[str, Any]:
    """A preview for a machine. ``next`` is what ``--stdin`` answers too."""
    return {
        "job": job,
        "schedule": preview.expression,
        "timezone": preview.timezone,
        "words": preview.words.en,
        "words_zh": preview.words.zh,
        "from": utc_text(preview.after),
        "next": [utc_text(moment) for moment in preview.fires.moments],
        "fires": [_fire_json(fire) for fire in preview.fires],
        "ending": preview.ending,
        "jitter_seconds": preview.jitter_seconds,
        "runs_left": preview.runs_left,
        "paused": preview.paused,
    }


def _fire_json(fire: Fire) -> dict[str, Any]:
    note = fire.note
    return {
        "utc": utc_text(fire.utc),
        "local": fire.local.isoformat(),
        "reader": fire.reader.isoformat() if fire.reader else None,
        "note": {"kind": note.kind, "en": note.en, "zh": note.zh} if note else None,
        "blackout": fire.blackout,
    }


def _show(preview: Preview, reader: str | None, screen: Screen) -> None:
    screen.say(f"{preview.words.en}.")
    if preview.paused is not None:
        reason = f" ({preview.paused})" if preview.paused else ""
        screen.say(f"It is disabled{reason}: these are the fires it would have.")
    if preview.jitter_seconds:
        screen.say(f"Each run is put off by up to {span(preview.jitter_seconds)}.")
    if preview.fires:
        screen.table(*_table(preview, reader))
    if ending := _ending(preview):
        screen.say(ending)


def _table(preview: Preview, reader: str | None) -> tuple[list[str], list[list[str]]]:
    """Headers and rows; columns that would say nothing are left out."""
    columns: dict[str, list[str]] = {preview.timezone: [_with_offset(fire.local) for fire in preview.fires]}
    if preview.timezone != "UTC":
        columns["UTC"] = [fire.utc.strftime(LOCAL) for fire in preview.fires]
    if reader and reader not in columns:
        columns[reader] = [_with_offset(fire.reader or fire.utc) for fire in preview.fires]
    columns["FROM NOW"] = [distance(fire.utc) for fire in preview.fires]
    notes = [_note(fire) for fire in preview.fires]
    if any(notes):
        columns["NOTE"] = notes
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def _with_offset(moment: datetime) -> str:
    return f"{moment.strftime(LOCAL)} {moment.strftime('%z')[:3]}:{moment.strftime('%z')[3:]}"


def _note(fire: Fire) -> str:
    parts = [fire.note.en] if fire.note else []
    if fire.blackout is not None:
        parts.append(f"no run: blackout {fire.blackout}")
    return "; ".join(parts)


def _ending(preview: Preview) -> str:
    last = clock(preview.fires[-1].utc, preview.timezone) if preview.fires else ""
    never = "Its time has passed." if preview.kind == "once" else "It never fires."
    return {
        None: "",
        "manual": "",  # its words say so
        "never": f"It never fires after {last}." if last else never,
        "ended": f"Its end date lies after {last}: nothing follows." if last else "Its end date has passed.",
        "limit": f"Its last run is that of {last}." if last else "Its maximum of runs is reached: it fires no more.",
    }[preview.ending]
