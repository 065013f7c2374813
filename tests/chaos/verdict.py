"""The table at the end: what was done to the watch, and what it did wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.chaos import judge
from tests.chaos.evidence import Complaints, Evidence
from tests.chaos.options import Options
from tests.chaos.timeline import Line, stretches
from tests.chaos.world import limits

_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """``wrong``: what must be empty, by column. ``facts``: the other columns, and what is worth knowing."""

    facts: Mapping[str, str]
    wrong: Mapping[str, Sequence[str]]
    notes: Sequence[str] = field(default=())

    @property
    def is_good(self) -> bool:
        return not any(self.wrong.values())

    def table(self) -> str:
        rows = [*self.facts.items(), *((name, str(len(found))) for name, found in self.wrong.items())]
        width = max(len(name) for name, _ in rows)
        shown = [f"  {name:<{width}}  {value}" for name, value in rows]
        return "\n".join([*shown, *(f"  {note}" for note in self.notes), *self._proofs()])

    def _proofs(self) -> list[str]:
        return [
            f"  WRONG  {name}: {told}"
            for name, found in self.wrong.items()
            for told in [*found[:_SHOWN], *_more(found)]
        ]


def _more(found: Sequence[str]) -> list[str]:
    return [f"… and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []


def judged(
    *,
    options: Options,
    evidence: Evidence,
    lines: Sequence[Line],
    accepted: Iterable[str],
    complaints: Complaints,
    orphans: Sequence[str] | None,
    recoveries: Sequence[float],
) -> Verdict:
    live = stretches(lines, doze=options.doze)
    overtaken, slept = judge.late_effects(lines, doze=options.doze)
    lost = [told for each in evidence.coverage for told in each.lost]
    lost += [f"{told} (not over)" for told in evidence.active]
    lost += [f"{run}: the web took it, and it is nowhere" for run in accepted if run not in evidence.known]
    lost += judge.successes_without_effect(lines, sorted(evidence.witnessed))
    strange = {line.run for line in lines} - evidence.known
    return Verdict(
        facts={
            "fires expected": str(sum(each.expected for each in evidence.coverage)),
            "runs planned": f"{evidence.planned} (and {evidence.runs - evidence.planned} asked for)",
            "runs ended": ", ".join(f"{count} {status}" for status, count in evidence.statuses.most_common()),
            "events": ", ".join(f"{evidence.events[kind]} {kind}" for kind in _TOLD if evidence.events[kind]),
            "claimed in the step of the end before": str(evidence.chained),
            "effects repeated before a commit": f"{judge.effects_repeated(lines)} (allowed: at-least-once)",
            "effects of woken sleepers": f"{len(slept)} (allowed: stopped between asking and acting)",
            "longest stall": f"{max(recoveries, default=0):.1f} s after a heal; {_quiet(lines):.1f} s without a start",
            **({"orphaned container execs": "not tried"} if orphans is None else {}),
            "locked while a process was frozen": str(complaints.locked_while_frozen),
        },
        wrong={
            "lost": lost,
            "planned twice": [told for each in evidence.coverage for told in each.twice]
            + [f"{run}: it left a witness, and is no run" for run in sorted(strange)],
            "repeated after a committed success": judge.repeated_after_success(lines, evidence.succeeded),
            "two live attempts of one run at once": judge.two_at_once(live) + overtaken,
            "limits exceeded": judge.limits_exceeded(live, limits()),
            **({} if orphans is None else {"orphaned container execs": orphans}),
            f"stalls over {options.recovery_limit:.0f} s": [
                f"{each:.1f} s" for each in recoveries if each > options.recovery_limit
            ],
            '"database is locked"': list(complaints.locked),
        },
        notes=_errors(complaints.failures),
    )


_TOLD = ("lost", "reaped", "returned", "published_again", "withdrawn", "not_reaped", "cancelled", "failed", "timeout")


def _quiet(lines: Sequence[Line]) -> float:
    """The longest time in which no execution began."""
    starts = [line.at for line in lines if line.kind == "start"]
    return max((later - earlier for earlier, later in pairwise(starts)), default=0)


def _errors(failures: Counter[str]) -> list[str]:
    return [f"errors in the logs: {count} x {text}" for text, count in failures.most_common(_SHOWN)]
