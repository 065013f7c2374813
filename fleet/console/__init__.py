"""The command line: groups (``job``), their subcommands found by discovery, and how they speak."""

from fleet.console.base import CommandGroup, Exit, Subcommand
from fleet.console.screen import Screen

__all__ = ("CommandGroup", "Exit", "Screen", "Subcommand")
