"""Names in a document that have to be known: the jobs that others follow, and calendars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fleet.names import near
from schedules.exchange.documents import Document, Entry, JobDocument
from schedules.exchange.order import circles
from schedules.exchange.problems import Problem


def reference_problems(*, now: Document, wanted: Document, prune: bool) -> list[Problem]:
    """What ``wanted`` names and neither holds nor leaves standing, and jobs that follow one another in a circle."""
    # What could not be read is known all the same: that it is wrong has been said.
    refused = {problem.name for problem in wanted.problems}
    jobs, blackouts = refused | set(wanted.job_values()), refused | set(wanted.blackout_values())
    if not prune or wanted.jobs is None:
        jobs |= set(now.job_values())
    if not prune or wanted.blackouts is None:
        blackouts |= set(now.blackout_values())
    problems = [problem for entry in wanted.jobs or () for problem in _unknown(entry, jobs, blackouts, now)]
    return problems + list(_circle_problems(now, wanted))


def _unknown(entry: Entry[JobDocument], jobs: set[str], blackouts: set[str], now: Document) -> Iterator[Problem]:
    job = entry.value
    if job.run_after is not None and job.run_after not in jobs:
        text = _missing("job", job.run_after, jobs, pruned=now.job_values())
        yield Problem(line=entry.line_of("run_after"), name=job.name, text=f"run_after: {text}")
    for blackout in job.blackouts:
        if blackout not in blackouts:
            text = _missing("blackout calendar", blackout, blackouts, pruned=now.blackout_values())
            yield Problem(line=entry.line_of("blackouts"), name=job.name, text=f"blackouts: {text}")


def _missing(kind: str, name: str, known: set[str], *, pruned: Iterable[str]) -> str:
    if name in pruned:
        return f"the {kind} {name!r} is not in the file, so --prune would delete it; add it to the file"
    return f"there is no {kind} {name!r}.{near(name, sorted(known))}"


def _circle_problems(now: Document, wanted: Document) -> Iterator[Problem]:
    followed = {name: job.run_after for name, job in (now.job_values() | wanted.job_values()).items()}
    lines = {entry.value.name: entry.line_of("run_after") for entry in wanted.jobs or ()}
    for circle in circles(followed):
        text = " → ".join([*circle, circle[0]])
        first = next((name for name in circle if name in lines), circle[0])
        said = f"run_after goes in a circle ({text}), so that none would ever begin; take it out of one of them"
        yield Problem(line=lines.get(first, 0), name=first, text=said)
