"""What ends the launcher, apart from an ordinary stop."""

from __future__ import annotations


class LaunchError(Exception):
    """The watch cannot run. The text is for the terminal: what is wrong, and what to do about it."""


class StopAsked(Exception):
    """Ctrl-C, SIGTERM or a closed terminal arrived while the watch was being started or tended."""
