"""``manage.py apikey``."""

from fleet.console import CommandGroup


class Command(CommandGroup):
    group = "apikey"
    help = "Create, list and revoke API keys."
