"""``manage.py job``: schedules and their runs, in the words of SOP-001."""

from fleet.console import CommandGroup


class Command(CommandGroup):
    group = "job"
    help = "Create, run, watch and delete jobs (schedules)."
