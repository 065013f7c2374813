"""What is wrong with a file, line by line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.errors import InvalidInput

#: The rest is counted only: nobody reads a thousand lines of errors, and the cause is often one.
MOST_SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that can't be taken. ``line`` counts from 1; 0 is the file as a whole."""

    text: str
    line: int = 0
    name: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line else ""
        name = f" ({self.name})" if place and self.name else self.name
        return f"{place}{name}: {self.text}" if place or name else self.text


class Refused(InvalidInput):
    """A file that is not taken, with every reason; nothing of it was."""

    def __init__(self, problems: Iterable[Problem], *, headline: str = "The file can't be taken as it is.") -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        shown = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        if more := len(self.problems) - len(shown):
            shown.append(f"… and {more} more.")
        super().__init__("\n".join([headline, *shown]))

    def headed(self, headline: str) -> Refused:
        """The same, told for what was asked: "Nothing was imported."."""
        return Refused(self.problems, headline=headline)
