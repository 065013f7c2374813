"""The one door to the readers: bytes of any format to a document."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal, cast, get_args

from fleet.errors import InvalidInput
from schedules.exchange.crontab import read_crontab
from schedules.exchange.dkron import read_dkron
from schedules.exchange.documents import Document
from schedules.exchange.sources import Source
from schedules.exchange.text import decoded
from schedules.exchange.yaml_reading import read_yaml

Format = Literal["crontab", "dkron", "yaml"]
FORMATS: tuple[Format, ...] = get_args(Format)

_OURS = re.compile(r"^(version|jobs|blackouts)\s*:", re.MULTILINE)
_OURS_AS_JSON = re.compile(r'\{\s*"(version|jobs|blackouts)"\s*:')
_CRON_LINE = re.compile(r"^[ \t]*(@\w+|[\d*][^\s:]*([ \t]+[^\s:]+){4})[ \t]+\S", re.MULTILINE)


def read(data: bytes, *, name: str = "", kind: str = "", source: Source | None = None) -> Document:
    """``kind``: one of :data:`FORMATS`; empty: guessed from ``name`` and the content.

    Single jobs that can't be taken are problems of the document. Raises :class:`Refused` for a file that is broken as
    a whole, ``InvalidInput`` when its format can't be told.
    """
    text, source = decoded(data), source or Source()
    kind = kind or guess_format(text, name=name)
    if kind == "dkron":
        return read_dkron(text, source)
    if kind == "crontab":
        return read_crontab(text, source)
    if source != Source():
        raise InvalidInput("--timezone, --agent and --system are for crontabs and Dkron exports; YAML says it itself.")
    return read_yaml(text)


def guess_format(text: str, *, name: str = "") -> Format:
    """From the beginning of the text, else from the file's name. Raises ``InvalidInput``."""
    start = text.lstrip()[:1]
    if start == "[" or (start == "{" and not _OURS_AS_JSON.match(text.lstrip())):
        return "dkron"
    if start == "{" or _OURS.search(text):
        return "yaml"
    if _CRON_LINE.search(text):
        return "crontab"
    by_name = {".yaml": "yaml", ".yml": "yaml", ".json": "dkron", ".crontab": "crontab", ".cron": "crontab"}
    suffix = PurePath(name).suffix.lower()
    if found := by_name.get(suffix) or ("crontab" if "cron" in PurePath(name).name else ""):
        return cast("Format", found)
    raise InvalidInput(f"What {name or 'this'} holds can't be told. Name it: --format {', '.join(FORMATS)}.")
