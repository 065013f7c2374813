"""Jitter: a delay of each fire, so that a thousand schedules of 02:00 do not all start at 02:00."""

from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from schedules.timing.rules import aware
from schedules.timing.spans import EPOCH

_END = datetime.max.replace(tzinfo=UTC)


def jittered(fire: datetime, *, key: str, jitter_seconds: int, following: datetime | None) -> datetime:
    """When the run of `fire` is due: at `fire` or up to `jitter_seconds` whole seconds later, in UTC.

    The delay follows from `key` and `fire` alone, in every process and on every machine, so that planning
    twice gives the same time. It ends before `following`, the schedule's next fire (None: there is none):
    where that leaves no whole second, there is no delay.
    """
    start = aware(fire)
    room = (_END if following is None else aware(following)) - start - timedelta.resolution
    longest = min(jitter_seconds, room // timedelta(seconds=1))
    return start + timedelta(seconds=_number(key, start) % (longest + 1)) if longest > 0 else start


def _number(key: str, fire: datetime) -> int:
    """64 even bits. Not hash(): that one is salted anew in every process."""
    text = f"{(fire - EPOCH) // timedelta.resolution} {key}"
    # Any text is a key, a lone surrogate of a file name too.
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest())
