"""``manage.py member``."""

from fleet.console import CommandGroup


class Command(CommandGroup):
    group = "member"
    help = "Give people a role in an organisation."
