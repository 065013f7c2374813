"""A document to our own YAML, always in the same order and form, so that a diff shows what changed and no more.

Any YAML reader reads it as meant: what YAML 1.1 would take for a number, a date or a truth is quoted.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from schedules.exchange.documents import BlackoutDocument, Document, Entry, JobDocument
from schedules.exchange.yaml_nodes import is_ambiguous
from schedules.exchange.yaml_reading import VERSION

_UNBROKEN = 2**31
# Line breaks to YAML, not to us: inside a block of text they would be read as newlines.
_OTHER_BREAKS = "\r\x85\u2028\u2029"


def write_yaml(document: Document) -> str:
    """The text, ending in a newline. A section that is None is left out."""
    parts = [f"version: {VERSION}\n"]
    for title, entries in (("blackouts", document.blackouts), ("jobs", document.jobs)):
        if entries is not None:
            parts.append(_section(title, _by_name(entries)))
    return "\n".join(parts)


def as_json(document: Document) -> dict[str, Any]:
    """The same for a machine."""
    mapping: dict[str, Any] = {"version": VERSION}
    for title, entries in (("blackouts", document.blackouts), ("jobs", document.jobs)):
        if entries is not None:
            mapping[title] = {name: value.changed_fields() for name, value in _by_name(entries).items()}
    return mapping


def _by_name(entries: Iterable[Entry[Any]]) -> dict[str, Any]:
    return dict(sorted((entry.value.name, entry.value) for entry in entries))


def _section(title: str, values: Mapping[str, Any]) -> str:
    if not values:
        return f"{title}: {{}}\n"
    return f"{title}:\n" + "\n".join(textwrap.indent(_entry(value), "  ") for value in values.values())


def _entry(value: JobDocument | BlackoutDocument) -> str:
    # The pure Python writer: with and without libyaml the same form.
    return yaml.dump(
        {value.name: value.changed_fields()},
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=_UNBROKEN,
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - none are ever written
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if is_ambiguous(text) or any(mark in text for mark in _OTHER_BREAKS):
        style = '"'
    elif "\n" in text:
        # A block that begins with a blank needs an indentation mark, which not every reader understands.
        style = '"' if text[0].isspace() else "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
