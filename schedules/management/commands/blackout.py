"""``manage.py blackout``: calendars of times in which nothing is started."""

from fleet.console import CommandGroup


class Command(CommandGroup):
    group = "blackout"
    help = "List, set and delete blackout calendars: times in which no job fires."
