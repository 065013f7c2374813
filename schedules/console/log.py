"""A run's log on the terminal."""

from __future__ import annotations

from fleet.console import Screen
from schedules.models import Run
from schedules.services.logs import log_page


def show_new_lines(run: Run, cursor: str, screen: Screen) -> str:
    """Print the lines after the cursor and return the new one."""
    page = log_page(run, after=cursor)
    while page.lines:
        for line in page.lines:
            screen.data(line.text)
        page = log_page(run, after=page.cursor)
    return page.cursor
