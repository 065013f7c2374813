"""``manage.py agent``."""

from fleet.console import CommandGroup


class Command(CommandGroup):
    group = "agent"
    help = "Add, list, show, edit and remove agents."
