"""Zone names, and where the zone data comes from."""

from __future__ import annotations

import subprocess
import sys
import zoneinfo
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest

from schedules.timing import ExpressionError, check_timezone, parse, zone_data_version
from schedules.timing.spans import spans_between


@pytest.mark.parametrize("name", ["UTC", "Asia/Shanghai", "America/Argentina/Buenos_Aires", "Etc/GMT-8"])
def test_an_iana_name_is_a_zone(name: str) -> None:
    assert check_timezone(name).key == name


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("Asia/Shangai", "Asia/Shanghai"),
        ("asia/shanghai", "Asia/Shanghai"),
        ("Shanghai", "Asia/Shanghai"),
        ("China/Shanghai", "Asia/Shanghai"),
        ("New York", "America/New_York"),
        ("America/New York", "America/New_York"),
        ("berlin", "Europe/Berlin"),
        ("UTC+8", "Etc/GMT-8"),
        ("gmt-03:00", "Etc/GMT+3"),
        ("+08:00", "Etc/GMT-8"),
        ("UTC+15", "UTC"),
        ("", "UTC"),
        ("Middle of nowhere", "UTC"),
        ("localtime", "UTC"),
        ("America", "UTC"),
    ],
)
def test_a_near_miss_is_refused_with_the_nearest_name(name: str, nearest: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        check_timezone(name)
    assert caught.value.field == "timezone"
    if nearest != "UTC":
        assert caught.value.example == nearest
    assert check_timezone(caught.value.example)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/localtime", "Asia/Shanghai\0", "Asia/", "x" * 9999])
def test_no_name_becomes_a_path(name: str) -> None:
    with pytest.raises(ExpressionError):
        check_timezone(name)


def test_the_zone_of_a_schedule_is_checked() -> None:
    with pytest.raises(ExpressionError, match='timezone "Mars": is not an IANA time zone'):
        parse("0 2 * * *", timezone="Mars")


def test_zone_data_is_the_pinned_package() -> None:
    assert zone_data_version() == version("tzdata")
    assert zoneinfo.TZPATH == ()


def test_importing_the_package_forgets_zones_of_the_host() -> None:
    program = (
        "from zoneinfo import ZoneInfo; early = ZoneInfo('Asia/Tokyo')\n"
        "import schedules.timing, zoneinfo\n"
        "assert zoneinfo.TZPATH == () and schedules.timing.check_timezone('Asia/Tokyo') is not early"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize("name", ["Africa/Casablanca", "Pacific/Apia", "America/Sao_Paulo", "Asia/Gaza", "UTC"])
def test_spans_join_and_hold_the_offset_of_the_zone(name: str) -> None:
    zone, start = check_timezone(name), int(datetime(1990, 1, 1, tzinfo=UTC).timestamp())
    spans = list(spans_between(zone, start, start + 60 * 366 * 86400))
    for span, following in pairwise(spans):
        assert (span.end, span.offset) == (following.start, following.before)
    for span in spans:
        for second in (span.start, (span.start + span.end) // 2, span.end - 1):
            offset = datetime.fromtimestamp(second, zone).utcoffset()
            assert offset == timedelta(seconds=span.offset)
