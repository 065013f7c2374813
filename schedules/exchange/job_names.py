"""Names for jobs that come from elsewhere: ours are ``[a-z0-9][a-z0-9_-]*``, unique in an organisation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

#: As ``schedules.names`` has it, which stands on Django.
LONGEST = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def job_names(texts: Iterable[str]) -> list[str]:
    """A name for each text, in order: "Docker exec" is ``docker-exec``, a second one ``docker-exec-2``."""
    taken: set[str] = set()
    names = []
    for text in texts:
        name = _free(_slug(text), taken)
        taken.add(name)
        names.append(name)
    return names


def _slug(text: str) -> str:
    """Accents go, other scripts too; what is a name already stays as it is."""
    if _NAME.fullmatch(text):
        return text
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_]+", "-", ascii_text.lower())[:LONGEST].strip("-_") or "job"


def _free(name: str, taken: set[str]) -> str:
    free, number = name, 1
    while free in taken:
        number += 1
        ending = f"-{number}"
        free = f"{name[: LONGEST - len(ending)]}{ending}"
    return free
