"""Our own YAML to a document: ``version``, ``blackouts`` and ``jobs``, the latter two by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pydantic import ValidationError

from fleet.names import near
from schedules.exchange.documents import BlackoutDocument, Document, Entry, JobDocument
from schedules.exchange.field_problems import field_problems
from schedules.exchange.problems import Problem, Refused
from schedules.exchange.yaml_nodes import Node, read_nodes

VERSION = 1
SECTIONS = ("version", "blackouts", "jobs")
# What the same thing is called at other places of ours and of Dkron's.
_OTHER_WORDS = {
    "schedule": "expression",
    "cron": "expression",
    "displayname": "display_name",
    "command": "payload",
    "parent_job": "run_after",
    "disabled": "enabled",
    "timeout": "timeout_seconds",
    "retries": "max_retries",
    "expires_at": "ends_at",
}

T = TypeVar("T", JobDocument, BlackoutDocument)


def read_yaml(text: str) -> Document:
    """A job that can't be taken is a problem of the document. Raises :class:`Refused` for what is no YAML mapping."""
    root = read_nodes(text)
    if not isinstance(root.value, dict):
        raise Refused([Problem(line=root.line, text="a mapping is expected: version: 1, blackouts: and jobs:")])
    problems = list(_unknown(root, SECTIONS, kind="section"))
    problems += _version_problems(root)
    jobs = _section(root, "jobs", JobDocument, problems)
    blackouts = _section(root, "blackouts", BlackoutDocument, problems)
    return Document(jobs=jobs, blackouts=blackouts, problems=tuple(problems))


def _version_problems(root: Node) -> list[Problem]:
    version = root.value.get("version")
    if version is None:
        return [Problem(line=root.line, text=f"the version is missing; write version: {VERSION} above all")]
    if version.value != VERSION or isinstance(version.value, bool):
        return [
            Problem(line=version.line, text=f"version {version.value!r} is not known; this Watchbill reads {VERSION}")
        ]
    return []


def _section(root: Node, name: str, model: type[T], problems: list[Problem]) -> tuple[Entry[T], ...] | None:
    section = root.value.get(name)
    if section is None:
        return None
    if section.value is None:
        return ()
    if not isinstance(section.value, dict):
        example = "nightly:\n and below it, indented, its fields"
        problems.append(Problem(line=section.line, text=f"{name} is a mapping of names; write {example}"))
        return ()
    entries = (_entry(each, node, model, problems) for each, node in section.value.items())
    return tuple(entry for entry in entries if entry is not None)


def _entry(name: str, node: Node, model: type[T], problems: list[Problem]) -> Entry[T] | None:
    if not isinstance(node.value, dict):
        problems.append(Problem(line=node.line, name=name, text="a mapping of fields is expected below the name"))
        return None
    known = [field for field in model.model_fields if field != "name"]
    found = list(_unknown(node, known, kind="field", name=name))
    lines = dict(_lines(node))
    values = {field: each.plain() for field, each in node.value.items() if field in known}
    try:
        value = model.model_validate({**values, "name": name})
    except ValidationError as error:
        problems += found + field_problems(error, name=name, line=node.line, lines=lines)
        return None
    problems += found
    return Entry(value=value, line=node.line, lines=lines)


def _lines(node: Node) -> Iterable[tuple[str, int]]:
    for field, each in node.value.items():
        yield field, each.line
        if field == "payload" and isinstance(each.value, dict):
            yield from ((f"payload.{key}", part.line) for key, part in each.value.items())


def _unknown(node: Node, known: Iterable[str], *, kind: str, name: str = "") -> Iterable[Problem]:
    known = list(known)
    for field, each in node.value.items():
        if field not in known:
            hint = _hint(field, known)
            yield Problem(line=each.line, name=name, text=f"there is no {kind} {field!r}.{hint}")


def _hint(field: str, known: list[str]) -> str:
    if field == "name":
        return " The name is the key above."
    if (ours := _OTHER_WORDS.get(field)) in known:
        return f" It is called {ours!r} here."
    return near(field, known) or f" There are: {', '.join(known)}."
