"""Time zones, from the pinned `tzdata` package in every process.

The host's own zone files are never read: two machines with different files would plan different
fires for one schedule. Importing this module is what pins them; there is no other place.
"""

import difflib
import re
import zoneinfo
from functools import cache
from importlib.metadata import version
from zoneinfo import ZoneInfo

from schedules.timing.errors import ExpressionError

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?00)?", re.ASCII | re.IGNORECASE)
_EAST_MOST, _WEST_MOST = 14, 12


def pin_zone_data() -> None:
    """Makes `zoneinfo` of this process read the `tzdata` package only."""
    zoneinfo.reset_tzpath(())
    # Zones that were built before from the host's files would otherwise be handed out again.
    ZoneInfo.clear_cache()


pin_zone_data()


@cache
def zone_data_version() -> str:
    """The version of the pinned data. When it changes, future fires have to be computed anew."""
    return version("tzdata")


def check_timezone(name: str) -> ZoneInfo:
    """The zone of an exact IANA name; anything else is an ExpressionError that names the nearest."""
    if name in _names():
        return ZoneInfo(name)
    reason = "a time zone has to be named" if not name.strip() else "is not an IANA time zone"
    raise ExpressionError(field="timezone", value=name, reason=reason, example=_nearest(name))


@cache
def _names() -> frozenset[str]:
    # The name is looked up here before it becomes a path: "../x", "America" or a NUL never reach the disk.
    return frozenset(zoneinfo.available_timezones()) - {"Factory", "localtime"}


@cache
def _by_nickname() -> dict[str, str]:
    """Lower-case full names and last parts ("shanghai") to names; the usual continents win."""
    nicknames: dict[str, str] = {}
    for name in sorted(_names(), key=lambda name: (name.count("/") != 1, name)):
        nicknames.setdefault(name.lower(), name)
        nicknames.setdefault(name.rsplit("/", 1)[-1].lower(), name)
    return nicknames


def _nearest(name: str) -> str:
    asked = name.strip().replace(" ", "_").lower()[:64]
    if offset := _OFFSET.fullmatch(asked):
        return _fixed_offset(offset)
    for guess in (asked, asked.rsplit("/", 1)[-1]):
        if found := difflib.get_close_matches(guess, _by_nickname(), n=1, cutoff=0.75):
            return _by_nickname()[found[0]]
    return "UTC"


def _fixed_offset(offset: re.Match[str]) -> str:
    """Etc/GMT-8 for "UTC+8": the Etc names count west as positive, as POSIX does."""
    east, hours = offset[1] == "+", int(offset[2])
    if hours == 0 or hours > (_EAST_MOST if east else _WEST_MOST):
        return "UTC"
    return f"Etc/GMT{'-' if east else '+'}{hours}"
