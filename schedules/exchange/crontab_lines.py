"""The lines of a crontab, each with what the lines above it say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from schedules.exchange.documents import Entry, JobDocument
from schedules.exchange.host_commands import CommandRefused, HostCommand, container_job
from schedules.exchange.problems import Problem
from schedules.exchange.sources import Source

_SETTING = re.compile(r"""(["']?)([A-Za-z_]\w*)\1\s*=\s*(.*)""", re.ASCII)
_ENTRY = re.compile(r"(@\S+|(?:[^\s@]\S*\s+){4}\S+)\s+(\S.*)")
# A random time between two: Dkron's ~ is another thing, the hash of a name.
_RANDOM_WITHIN = re.compile(r"\d~|~\d")
_ZONES = ("CRON_TZ", "TZ")
# Of the host, not of a container.
_OF_THE_HOST = ("PATH", "HOME", "LOGNAME", "USER", "MAILFROM", "CONTENT_TYPE", "CONTENT_TRANSFER_ENCODING")
_DROPPED = dict.fromkeys(_OF_THE_HOST, "the container has its own") | {
    "MAILTO": "failures are told by the alerts of the watch, not by mail of each run",
}
_LONGEST_DELAY = 24 * 60


class LineRefused(ValueError):
    """A line that can't be taken; the message shows the way out."""


@dataclass(frozen=True, kw_only=True)
class CrontabLine:
    """One job: its line counts from 1; ``comment`` is what stands right above it."""

    number: int
    expression: str
    command: str
    comment: str
    timezone: str
    shell: str
    jitter_seconds: int
    environment: Mapping[str, str]


def crontab_lines(text: str) -> tuple[list[CrontabLine], list[Problem], list[str]]:
    """The jobs, what is wrong with other lines, and what of the settings is dropped."""
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), start=1):
        reader.take(number, line.strip())
    return reader.jobs, reader.problems, reader.notes


def job_of(line: CrontabLine, source: Source) -> Entry[JobDocument]:
    """The job of a line; its name is still that of the command. Raises :class:`LineRefused`."""
    if _RANDOM_WITHIN.search(line.expression) and not line.expression.startswith("@"):
        raise LineRefused(f'"{line.expression}" fires at a random time: write a fixed one (jitter_seconds spreads it)')
    user, command = _user_and_command(line, source)
    host = HostCommand(text=_without_percents(command), shell=line.shell, environment=line.environment)
    try:
        job = container_job(host, source)
    except CommandRefused as error:
        raise LineRefused(str(error)) from error
    notes = [f"the user {user} dropped: docker exec -u names one of the container"] if user not in {"", "root"} else []
    value = JobDocument(
        name=job.title,
        display_name=job.title,
        description=line.comment,
        expression=line.expression,
        timezone=line.timezone or source.zone,
        jitter_seconds=line.jitter_seconds,
        agent=job.agent,
        executor="container.command",
        payload={"command": job.command},
    )
    return Entry(value=value, line=line.number, notes=(*notes, *job.notes))


def _user_and_command(line: CrontabLine, source: Source) -> tuple[str, str]:
    if not source.system:
        return "", line.command
    user, *rest = line.command.split(None, 1)
    if not rest:
        raise LineRefused("a line of a system crontab has a user and a command after its times")
    return user, rest[0]


def _without_percents(command: str) -> str:
    r"""``\%`` is a percent sign; a bare one ends the command and begins its input."""
    before, percent, _ = re.sub(r"\\%", "\0", command).partition("%")
    if percent:
        raise LineRefused(r"what follows % would be the command's input, and it has none here: write \% for the sign")
    return before.replace("\0", "%")


class _Reader:
    def __init__(self) -> None:
        self.jobs: list[CrontabLine] = []
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._comments: list[str] = []
        self._zone, self._shell, self._jitter = "", "sh", 0
        self._environment: Mapping[str, str] = MappingProxyType({})

    def take(self, number: int, text: str) -> None:
        """A line without the blanks around it."""
        if text.startswith("#"):
            self._comments.append(text.lstrip("#").strip())
            return
        if match := _SETTING.fullmatch(text):
            self._set(number, match[2], _unquoted(match[3]))
        elif match := _ENTRY.fullmatch(text):
            self._add(number, match[1], match[2])
        elif text:
            self.problems.append(Problem(line=number, text='is no crontab line; try "0 2 * * * docker exec agent ls"'))
        self._comments = []

    def _add(self, number: int, expression: str, command: str) -> None:
        self.jobs.append(
            CrontabLine(
                number=number,
                expression=" ".join(expression.split()),
                command=command,
                comment="\n".join(self._comments).strip(),
                timezone=self._zone,
                shell=self._shell,
                jitter_seconds=self._jitter,
                environment=self._environment,
            )
        )

    def _set(self, number: int, name: str, value: str) -> None:
        if name in _ZONES:
            self._zone = value
        elif name == "SHELL":
            self._shell = value or "sh"
        elif name == "RANDOM_DELAY":
            self._delay(number, value)
        elif name in _DROPPED:
            self.notes.append(f"line {number}: {name} dropped: {_DROPPED[name]}.")
        else:
            self._environment = MappingProxyType({**self._environment, name: value})

    def _delay(self, number: int, value: str) -> None:
        if not value.isascii() or not value.isdigit() or int(value[:6]) > _LONGEST_DELAY:
            text = f'RANDOM_DELAY "{value}": is minutes, from 0 to {_LONGEST_DELAY}; try RANDOM_DELAY=30'
            self.problems.append(Problem(line=number, text=text))
            return
        self._jitter = int(value) * 60


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
