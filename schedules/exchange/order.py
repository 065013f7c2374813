"""Who follows whom: the order in which jobs can be made, and circles, which can't."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def leaders_first(followed: Mapping[str, str | None]) -> list[str]:
    """Each job after the one that it follows, else by name. In a circle none can be first: one is, whichever."""
    order: dict[str, None] = {}
    for start in sorted(followed):
        way: dict[str, None] = {}
        name: str | None = start
        while name is not None and name in followed and name not in order and name not in way:
            way[name] = None
            name = followed[name]
        order |= dict.fromkeys(reversed(way))
    return list(order)


def circles(followed: Mapping[str, str | None]) -> Iterator[tuple[str, ...]]:
    """Each circle once, as the names that follow one another; it begins with the first by name."""
    seen: set[str] = set()
    for start in sorted(followed):
        way: list[str] = []
        name: str | None = start
        while name is not None and name not in seen:
            seen.add(name)
            way.append(name)
            name = followed.get(name)
        if name in way:
            yield _from_first(way[way.index(name) :])


def _from_first(circle: list[str]) -> tuple[str, ...]:
    first = circle.index(min(circle))
    return (*circle[first:], *circle[:first])
