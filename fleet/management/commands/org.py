"""``manage.py org``."""

from fleet.console import CommandGroup


class Command(CommandGroup):
    group = "org"
    help = "Create, list and edit organisations."
