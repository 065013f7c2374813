"""The settings of a job as arguments: the same words in ``job create`` and ``job edit``."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from typing import Any

from fleet.errors import InvalidInput
from fleet.models import Organisation
from fleet.services.agents import agent_named
from schedules import timing
from schedules.models import Schedule
from schedules.services.schedules import schedule_named
from schedules.timing.instants import instant

# ``--concurrency allow``: runs may overlap, as many as the organisation and the agent allow.
ALLOWED_AT_ONCE = 1000
NONE = "none"

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SECONDS = {
    "--timeout": ("timeout_seconds", "an attempt ends after so long"),
    "--catchup": ("catchup_seconds", "fires missed longer ago are never made up (900)"),
    "--jitter": ("jitter_seconds", "put each fire off by up to so long"),
}
# What ``none`` gives its default back, since it can't be without a value.
_DEFAULTED = {"timeout_seconds", "catchup_seconds", "jitter_seconds", "priority", "description", "timezone"}
_OPTIONAL = {
    "--retries": ("max_retries", "N", "tries again after a failure, 30 s, 60 s … later; none: as the executor likes"),
    "--start-within": ("start_within_seconds", "SECONDS", "skip a fire that could not start within so long"),
    "--max-runs": ("max_runs", "N", "end after so many planned runs"),
    "--pause-after": ("pause_after_failures", "N", "pause after so many failed runs in a row"),
}


def add_settings(parser: ArgumentParser) -> None:
    """Every setting that has a default. What is left out is not among the options."""
    parser.add_argument("--agent", metavar="NAME", help="the agent it works on; a command's container names it")
    parser.add_argument("--timezone", metavar="ZONE", help="for example Asia/Shanghai (UTC)")
    parser.add_argument("--description", metavar="TEXT")
    for flag, (field, text) in _SECONDS.items():
        parser.add_argument(flag, dest=field, type=_or_none(int), metavar="SECONDS", help=text)
    for flag, (field, what, text) in _OPTIONAL.items():
        parser.add_argument(flag, dest=field, type=_or_none(int), metavar=what, help=text)
    parser.add_argument("--priority", type=_or_none(int), metavar="0-9", help="higher goes first (5)")
    parser.add_argument("--concurrency", choices=["allow", "forbid"], help="may runs overlap? (forbid)")
    parser.add_argument("--overlap", choices=Schedule.Overlap.values, help="what a fire does during a run (skip)")
    parser.add_argument("--misfire", choices=Schedule.Misfire.values, help="what missed fires become (run_latest)")
    parser.add_argument(
        "--from", dest="starts_at", metavar="TIME", help="no fire before it; without an offset: its zone's"
    )
    parser.add_argument("--until", dest="ends_at", metavar="TIME", help="no fire after it; a date includes its day")
    parser.add_argument("--after", dest="run_after", metavar="NAME", help="run when a run of this job ends")
    parser.add_argument("--after-on", dest="run_after_on", choices=Schedule.After.values, help="ends how? (success)")
    # What is not said must not be told from its default by guessing.
    parser.set_defaults(**dict.fromkeys(_fields(), _UNSAID))


def settings_of(options: dict[str, Any], organisation: Organisation, *, zone: str) -> dict[str, Any]:
    """The settings that were given, as the services take them. ``zone``: the job's, for times without an offset."""
    given = {field: options[field] for field in _fields() if options[field] is not _UNSAID}
    concurrency = given.pop("concurrency", None)
    if concurrency and "overlap" in given:
        raise InvalidInput(
            "--concurrency and --overlap say the same thing twice: forbid is --overlap skip, allow is queue_all. "
            "Say one of them.",
            field="overlap",
        )
    values = _concurrency(concurrency) | given if concurrency else given
    for field in _DEFAULTED & values.keys():
        if values[field] in {None, NONE}:
            values[field] = Schedule._meta.get_field(field).get_default()  # type: ignore[union-attr]  # noqa: SLF001
    for field in ("starts_at", "ends_at"):
        if field in values:
            values[field] = read_time(values[field], zone=zone, field=field, ends=field == "ends_at")
    if "agent" in values:
        values["agent"] = agent_named(organisation, values["agent"]) if _is_said(values["agent"]) else None
    if "run_after" in values:
        values["run_after"] = (
            schedule_named(organisation, values["run_after"]) if _is_said(values["run_after"]) else None
        )
    return values


def zone_said(options: dict[str, Any], otherwise: str) -> str:
    """The zone in which times without an offset are read: the one that is being set, else the one there is."""
    said = options["timezone"]
    return said if isinstance(said, str) and _is_said(said) else otherwise


def read_time(text: str, *, zone: str, field: str, ends: bool = False) -> Any:
    """An instant as typed; nothing for an empty text or ``none``. A date alone that ends something includes its day."""
    if not _is_said(text):
        return None
    if ends and _DATE.fullmatch(text.strip()):
        text = f"{text.strip()}T23:59:59"
    try:
        return instant(text, zone=timing.check_timezone(zone), field=field)
    except timing.ExpressionError as error:
        raise InvalidInput(str(error), field=error.field) from error


def payload_of(text: str) -> dict[str, Any]:
    """``--payload`` as an object."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidInput(
            f"--payload is not JSON ({error}). An example: '{{\"keep\": 5}}'", field="payload"
        ) from error
    if not isinstance(value, dict):
        raise InvalidInput("--payload is a JSON object, for example '{\"keep\": 5}'.", field="payload")
    return value


class _Unsaid:
    def __repr__(self) -> str:
        return "left out"


_UNSAID = _Unsaid()


def _fields() -> list[str]:
    plain = ["agent", "timezone", "description", "priority", "concurrency", "overlap", "misfire"]
    timed = ["starts_at", "ends_at", "run_after", "run_after_on"]
    return [*plain, *timed, *(field for field, _ in _SECONDS.values()), *(field for field, *_ in _OPTIONAL.values())]


def _is_said(text: str) -> bool:
    return bool(text) and text != NONE


def _or_none(read: Callable[[str], int]) -> Callable[[str], int | None]:
    def value(text: str) -> int | None:
        try:
            return read(text) if _is_said(text) else None
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is no number; {NONE} takes the setting away") from None

    return value


def _concurrency(choice: str) -> dict[str, Any]:
    if choice == "allow":
        return {"overlap": "queue_all", "max_concurrent_runs": ALLOWED_AT_ONCE}
    return {"overlap": "skip", "max_concurrent_runs": 1}
