"""Groups of subcommands. Data goes to stdout, messages to stderr; exit codes: 0 done, 1 failure, 2 usage, 3 skipped."""

from __future__ import annotations

import logging
import sys
from abc import ABC, abstractmethod
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, OperationalError

from fleet.actors import Actor
from fleet.console.screen import Screen
from fleet.discovery import discover
from fleet.errors import DomainError, InvalidInput
from fleet.models import Organisation
from fleet.services.organisations import organisation_named

# What a shell expects of a program that Ctrl-C ended.
INTERRUPTED = 130


class Exit(IntEnum):
    """What a command answers to its caller."""

    DONE = 0
    FAILURE = 1
    USAGE = 2
    SKIPPED = 3


class Subcommand(ABC):
    """One word after a group's name: ``job create``. A class in ``<app>/console/<group>/``."""

    name: ClassVar[str]
    help: ClassVar[str]
    scoped: ClassVar[bool] = True

    def add_arguments(self, parser: ArgumentParser) -> None:  # noqa: B027 - most need none
        """Declare the arguments. ``--org`` is there already when the subcommand is scoped."""

    @abstractmethod
    def run(self, options: dict[str, Any], screen: Screen) -> int:
        """Do it; returns an :class:`Exit`. A ``DomainError`` becomes one line and an exit code."""

    def organisation(self, options: dict[str, Any]) -> Organisation:
        """The organisation that ``--org`` names, or the only one."""
        return organisation_named(options["org"] or "")

    @staticmethod
    def actor() -> Actor:
        """Whoever has a shell here."""
        return Actor.command(_login())


class CommandGroup(BaseCommand):
    """``manage.py GROUP SUBCOMMAND``. A group's own file names the group and its help, nothing else."""

    group: ClassVar[str]
    requires_system_checks = []  # noqa: RUF012 - Django's own form; checks would cost a second each time

    def add_arguments(self, parser: CommandParser) -> None:
        subparsers = parser.add_subparsers(
            dest="subcommand", metavar="SUBCOMMAND", required=True, parser_class=ArgumentParser
        )
        for command in self._subcommands():
            subparser = subparsers.add_parser(command.name, help=command.help, description=command.help)
            if command.scoped:
                subparser.add_argument("--org", metavar="NAME", help="the organisation, when there are several")
            command.add_arguments(subparser)
            subparser.set_defaults(run=command)

    def handle(self, *_: Any, **options: Any) -> None:
        command: Subcommand = options["run"]
        code = answer(lambda: command.run(options, Screen()), Screen())
        if code:
            sys.exit(code)

    def _subcommands(self) -> list[Subcommand]:
        found = [cls() for cls in discover(f"console.{self.group}", Subcommand)]  # type: ignore[type-abstract]
        return sorted(found, key=lambda command: command.name)


def answer(work: Callable[[], int], screen: Screen) -> int:
    """Run ``work``; a refusal or an outage becomes one clear line and an exit code, never a traceback."""
    try:
        with _few_log_lines():
            return int(work())
    except (DomainError, DatabaseError) as error:
        screen.error(_words(error))
        return Exit.USAGE if isinstance(error, InvalidInput) else Exit.FAILURE
    except BrokenPipeError:
        return Exit.DONE
    except KeyboardInterrupt:
        return INTERRUPTED


@contextmanager
def _few_log_lines() -> Iterator[None]:
    """What a service has to say comes in the command's own words; its log lines are for the watch's logs."""
    log = logging.getLogger("schedules")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _words(error: DomainError | DatabaseError) -> str:
    if isinstance(error, DomainError):
        return error.message
    if "unable to open database file" in str(error):
        return "There is no watch here yet: start one with `make run`, or name its data folder in WATCHBILL_DATA."
    if isinstance(error, OperationalError) and "no such table" not in str(error):
        return f"The database can't be used: {_first_line(error)}. `manage.py status` says what is down."
    return f"The database refused: {_first_line(error)}. Is it migrated? Run `manage.py migrate`."


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _login() -> str:
    import getpass  # noqa: PLC0415 - it reads the environment, which only a person's command should do

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "command"
