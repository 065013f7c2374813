"""``manage.py backup``."""

from fleet.console import CommandGroup


class Command(CommandGroup):
    group = "backup"
    help = "Create, verify, restore and drill backups; recover damaged databases."
