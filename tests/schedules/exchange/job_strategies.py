"""Random jobs and calendars, as a person could have made them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from schedules.exchange import BlackoutDocument, Document, Entry, JobDocument

# What PostgreSQL and SQLite can both keep.
_CHARACTERS = st.characters(exclude_characters="\x00", exclude_categories=["Cs"])
NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True)
#: What YAML could take for something else; one a line, with escapes.
_TRAPS = r"""
yes|No|null|~||1|0x1f|1.5|1e5|1.0e+5|12:30|2026-12-24|@daily|* * * * *|a: b|- a|#|a #b|'|"|\\|a\nb|\na|a\n|  a\n b|a \nb
a\tb|\ttab|\xe9|\u5907\u4efd|\U0001f319|a\rb|a\r\nb|a\x85b|a\u2028b|\ufeff|\x7f|a\n\n\nb\n\n|---|...|{|[|!a|&a|%a|>
"""
TRAPS = [trap.encode().decode("unicode_escape") for line in _TRAPS.split("\n")[1:-1] for trap in line.split("|")]
TEXTS = st.text(_CHARACTERS, max_size=60) | st.sampled_from(TRAPS)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
PAYLOADS = st.dictionaries(TEXTS, _JSON, max_size=4)
INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
_WHOLE = st.integers(1, 1000)
EXPRESSIONS = st.sampled_from(
    [
        "@manually",
        "@daily",
        "0 2 * * *",
        "*/5 * * * *",
        "0 30 2 * * 1-5",
        "@every 6h",
        "~ ~ * * *",
        "@at 2999-01-01T00:00:00Z",
    ]
)
ZONES = st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"])
WINDOWS = st.sampled_from(["2026-12-24", "12-24..01-02\nsat,sun\n", "mon-fri 22:00-06:00  # nights", "\n2026-12-24\n"])


@st.composite
def jobs(
    draw: st.DrawFn, *, name: str, leaders: list[str], calendars: list[str], payloads: st.SearchStrategy[Any]
) -> JobDocument:
    enabled = draw(st.booleans())
    starts, ends = sorted([draw(INSTANTS), draw(INSTANTS)])
    expression = draw(EXPRESSIONS)
    values: dict[str, Any] = {
        "name": name,
        "display_name": draw(TEXTS),
        "description": draw(TEXTS),
        "enabled": enabled,
        "paused_reason": "" if enabled else draw(TEXTS),
        "expression": expression,
        "timezone": draw(ZONES),
        "starts_at": draw(st.none() | st.just(starts)),
        # One that ends before its only fire is refused.
        "ends_at": None if expression.startswith("@at") else draw(st.none() | st.just(ends)),
        "max_runs": draw(st.none() | _WHOLE),
        "run_after": draw(st.sampled_from([None, *leaders])),
        "run_after_on": draw(st.sampled_from(["success", "failure", "always"])),
        "blackouts": tuple(sorted(draw(st.sets(st.sampled_from(calendars)) if calendars else st.just(set())))),
        "executor": "test.trace",
        "payload": draw(payloads),
        "timeout_seconds": draw(_WHOLE),
        "max_retries": draw(st.none() | st.integers(0, 100)),
        "retry_delays": tuple(draw(st.lists(_WHOLE, max_size=3))),
        "max_concurrent_runs": draw(_WHOLE),
        "overlap": draw(st.sampled_from(["skip", "queue_one", "queue_all", "cancel_running"])),
        "misfire": draw(st.sampled_from(["run_latest", "skip", "run_all"])),
        "catchup_seconds": draw(_WHOLE),
        "jitter_seconds": draw(_WHOLE),
        "start_within_seconds": draw(st.none() | _WHOLE),
        "pause_after_failures": draw(st.none() | _WHOLE),
        "priority": draw(st.integers(0, 9)),
    }
    return JobDocument.model_validate(values)


@st.composite
def documents(draw: st.DrawFn, *, payloads: st.SearchStrategy[Any] = PAYLOADS) -> Document:
    """Jobs that follow one another in no circle: each only those drawn before it."""
    calendars = draw(st.lists(NAMES, unique=True, max_size=2))
    blackouts = tuple(
        Entry(
            value=BlackoutDocument(name=name, timezone=draw(ZONES), windows=draw(WINDOWS), for_all=draw(st.booleans()))
        )
        for name in calendars
    )
    names = draw(st.lists(NAMES, unique=True, max_size=4))
    drawn = [
        draw(jobs(name=name, leaders=names[:number], calendars=calendars, payloads=payloads))
        for number, name in enumerate(names)
    ]
    return Document(jobs=tuple(Entry(value=job) for job in drawn), blackouts=blackouts)
