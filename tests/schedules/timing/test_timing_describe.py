"""Schedules in words."""

from __future__ import annotations

import pytest

from schedules.timing import describe

SHANGHAI = "Asia/Shanghai"

DESCRIPTIONS = [
    ("0 2 * * 1-5", "Every weekday at 02:00", "每个工作日 02:00"),
    ("0 2 * * *", "Every day at 02:00", "每天 02:00"),
    ("0 2,14 * * *", "Every day at 02:00 and 14:00", "每天 02:00、14:00"),
    ("0 * * * *", "Every hour", "每小时"),
    ("5 * * * *", "Every hour, at minute 5", "每小时，第 5 分"),
    ("5,20,35 * * * *", "Every hour, at minutes 5, 20 and 35", "每小时，第 5、20、35 分"),
    ("0 */6 * * *", "Every 6 hours", "每 6 小时"),
    ("30 */6 * * *", "Every 6 hours, at minute 30", "每 6 小时，第 30 分"),
    ("* * * * *", "Every minute", "每分钟"),
    ("*/15 * * * *", "Every 15 minutes", "每 15 分钟"),
    ("*/15 9-17 * * *", "Every 15 minutes from 09:00 to 17:59", "09:00 至 17:59 每 15 分钟"),
    (
        *("*/15 9-17 * * 1-5", "Every 15 minutes from 09:00 to 17:59, every weekday"),
        "09:00 至 17:59 每 15 分钟，每个工作日",
    ),
    ("0 9-17 * * *", "Every hour from 09:00 to 17:00", "09:00 至 17:00 每小时"),
    ("*/10 1,3 * * *", "Every 10 minutes, at hours 1 and 3", "每 10 分钟，1、3 点"),
    ("* * * * * *", "Every second", "每秒"),
    ("*/10 * * * * *", "Every 10 seconds", "每 10 秒"),
    ("15 30 2 * * *", "Every day at 02:30:15", "每天 02:30:15"),
    ("15 * * * * *", "At second 15", "第 15 秒"),
    ("0 0 * * 0", "Every Sunday at 00:00", "每周日 00:00"),
    ("0 0 * * 7", "Every Sunday at 00:00", "每周日 00:00"),
    ("0 3 * * SUN,MON,THU", "Every Sunday, Monday and Thursday at 03:00", "每周一、周四、周日 03:00"),
    ("0 3 * * 6,0", "Every Saturday and Sunday at 03:00", "每周六、周日 03:00"),
    ("0 3 * * 0-6", "Every day at 03:00", "每天 03:00"),
    ("0 0 1 * *", "On the 1st of every month at 00:00", "每月 1 日 00:00"),
    (
        "0 0 2,3,11,22 * *",
        "On the 2nd, 3rd, 11th and 22nd of every month at 00:00",
        "每月 2、3、11、22 日 00:00",
    ),
    ("@yearly", "On the 1st of January at 00:00", "每年 1 月 1 日 00:00"),
    ("0 12 * 6,7 *", "Every day in June and July at 12:00", "每年 6、7 月 每天 12:00"),
    ("0 12 * jan MON", "Every Monday in January at 12:00", "每年 1 月 每周一 12:00"),
    (
        "0 0 13 * FRI",
        "On the 13th of every month and also every Friday at 00:00",
        "每月 13 日以及每周五 00:00",
    ),
    ("@at 2026-03-01T02:00:00+08:00", "Once, on 2026-03-01 at 02:00", "仅一次：2026-03-01 02:00"),
    ("@at 2026-02-28T18:00:05Z", "Once, on 2026-03-01 at 02:00:05", "仅一次：2026-03-01 02:00:05"),
    (
        *("0 0 30 2 *", "On the 30th of February at 00:00 (a date that never comes)"),
        "每年 2 月 30 日 00:00（该日期不存在）",
    ),
    ("~ 2 * * *", "At times set by the job's name (~ 2 * * *)", "时间由任务名决定（~ 2 * * *）"),
]


@pytest.mark.parametrize(("expression", "english", "chinese"), DESCRIPTIONS)
def test_in_both_languages_with_the_zone(expression: str, english: str, chinese: str) -> None:
    assert describe(expression, timezone=SHANGHAI) == f"{english}, Asia/Shanghai"
    assert describe(expression, timezone=SHANGHAI, language="zh") == f"{chinese}，Asia/Shanghai"


@pytest.mark.parametrize(
    ("expression", "english", "chinese"),
    [
        ("@every 1h30m", "Every 1 hour 30 minutes", "每 1 小时 30 分钟"),
        ("@every 24h", "Every 24 hours", "每 24 小时"),
        ("@every 1m", "Every minute", "每分钟"),
        ("@every 100ms", "Every second", "每秒"),
        ("@manually", "Only when started by hand", "仅手动运行"),
    ],
)
def test_what_needs_no_zone(expression: str, english: str, chinese: str) -> None:
    assert describe(expression, timezone=SHANGHAI) == english
    assert describe(expression, timezone=SHANGHAI, language="zh") == chinese


def test_the_zone_of_the_prefix_counts() -> None:
    assert describe("CRON_TZ=Asia/Tokyo 0 2 * * *", timezone=SHANGHAI) == "Every day at 02:00, Asia/Tokyo"


def test_a_known_name_places_the_tilde() -> None:
    assert describe("~ ~ * * *", job_name="backup") == "Every day at 06:30, UTC"


@pytest.mark.parametrize(
    ("expression", "zone", "english"),
    [
        (
            "0 25 * * *",
            "UTC",
            '0 25 * * * (not valid: hour "25": has to be between 0 and 23; try "0 23 * * *")',
        ),
        (
            *("0 2 * * *", "Shanghai"),
            '0 2 * * * (not valid: timezone "Shanghai": is not an IANA time zone; try "Asia/Shanghai")',
        ),
    ],
)
def test_a_bad_text_comes_back_with_its_problem(expression: str, zone: str, english: str) -> None:
    assert describe(expression, timezone=zone) == english
    assert describe(expression, timezone=zone, language="zh").startswith(f"{expression}（无效：")


@pytest.mark.parametrize(
    "expression", ["", "x" * 10_000, "\0", "\ud800", "@at 9999-12-31T23:59:59Z", "@at 0001-01-01T00:00:00Z"]
)
def test_nothing_raises(expression: str) -> None:
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Niue", "\0"):
        assert len(describe(expression, timezone=zone)) < 400
