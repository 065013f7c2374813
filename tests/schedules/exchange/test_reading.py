"""Which format a file has is told from what it holds."""

from __future__ import annotations

import contextlib
import time

import pytest

from fleet.errors import InvalidInput
from schedules.exchange import JobDocument, Source, guess_format, read
from schedules.models import Schedule
from schedules.services.schedules import FIELDS


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("-", "version: 1\njobs:\n", "yaml"),
        ("-", "# ours\nversion: 1\n", "yaml"),
        ("-", '{"version": 1, "jobs": {}}', "yaml"),
        ("-", "  [\n", "dkron"),
        ("-", '{"name": "x"}', "dkron"),
        ("-", "0 2 * * * docker exec agent ls", "crontab"),
        ("-", "SHELL=/bin/sh\n# m h\n*/5 * * * 1-5 docker exec agent ls", "crontab"),
        ("-", "@daily docker exec agent ls", "crontab"),
        ("jobs.yml", "", "yaml"),
        ("jobs.json", "", "dkron"),
        ("crontab", "MAILTO=x", "crontab"),
        ("/etc/cron.d/agent.cron", "", "crontab"),
    ],
)
def test_a_format_is_guessed(name: str, text: str, kind: str) -> None:
    assert guess_format(text, name=name) == kind


def test_a_long_empty_file_is_looked_through_quickly() -> None:
    started = time.monotonic()
    for text in ("\n" * 1_000_000, " " * 1_000_000, "* * * * * x" + " " * 1_000_000 + "y"):
        with contextlib.suppress(InvalidInput):
            read(text.encode())
    assert time.monotonic() - started < 5


def test_what_cannot_be_guessed_is_asked_for() -> None:
    with pytest.raises(InvalidInput, match="--format crontab, dkron, yaml"):
        read(b"hello", name="notes.txt")


def test_a_byte_order_mark_is_no_part_of_a_file() -> None:
    assert read("\ufeffversion: 1\njobs: {}\n".encode()).jobs == ()


def test_yaml_takes_no_options_of_other_formats() -> None:
    with pytest.raises(InvalidInput, match="YAML says it itself"):
        read(b"version: 1\n", source=Source(timezone="UTC"))


def test_a_document_has_the_defaults_of_a_schedule() -> None:
    fields = {
        name: Schedule._meta.get_field(name) for name in FIELDS if name not in {"name", "display_name", "executor"}
    }
    ours = JobDocument(name="x", display_name="x", executor="x").model_dump()
    theirs = {name: field.get_default() for name, field in fields.items()}  # type: ignore[union-attr]
    assert {name: list(ours[name]) if name == "retry_delays" else ours[name] for name in theirs} == theirs


def test_a_document_has_every_field_that_a_person_sets() -> None:
    assert set(JobDocument.model_fields) == {*FIELDS, "enabled", "paused_reason", "blackouts"}
