"""crontab(5) to a document: a user's crontab, or a system one, whose sixth column is a user.

A crontab is read as a system one when the caller says so, when a comment heads its columns as Debian's and Red Hat's
do ("user command"), or when every line runs as root.
"""

from __future__ import annotations

import re
from dataclasses import replace

from schedules.exchange.crontab_lines import CrontabLine, LineRefused, crontab_lines, job_of
from schedules.exchange.documents import Document, Entry, JobDocument
from schedules.exchange.job_names import job_names
from schedules.exchange.problems import Problem
from schedules.exchange.sources import Source

_USER_COLUMN = re.compile(r"\buser(?:-?name)?\s+command\b", re.IGNORECASE)
_RULES = (
    "cron knows no time limit and lets runs overlap; here a run ends after an hour, and a fire is skipped while a run "
    "of the same job is active (timeout_seconds, overlap)."
)


def read_crontab(text: str, source: Source) -> Document:
    """A line that can't be taken is a problem of the document."""
    lines, problems, notes = crontab_lines(text)
    detected = not source.system and _is_system(text, lines)
    if detected:
        notes.append("Read as a system crontab: the word before each command is its user.")
        source = replace(source, system=True)
    entries = []
    for line in lines:
        try:
            entries.append(job_of(line, source))
        except LineRefused as error:
            problems.append(Problem(line=line.number, text=str(error)))
    if any(not line.timezone for line in lines) and not source.timezone:
        notes.append("Read in UTC: a crontab without CRON_TZ follows its host's zone. Name that with --timezone.")
    notes += [_RULES] if entries else []
    return Document(jobs=tuple(_named(entries)), blackouts=None, notes=tuple(notes), problems=tuple(problems))


def _is_system(text: str, lines: list[CrontabLine]) -> bool:
    headed = any(line.lstrip().startswith("#") and _USER_COLUMN.search(line) for line in text.split("\n"))
    return headed or (bool(lines) and all(line.command.split(None, 1)[0] == "root" for line in lines))


def _named(entries: list[Entry[JobDocument]]) -> list[Entry[JobDocument]]:
    names = job_names(entry.value.display_name for entry in entries)
    return [
        replace(entry, value=entry.value.model_copy(update={"name": name}))
        for entry, name in zip(entries, names, strict=True)
    ]
