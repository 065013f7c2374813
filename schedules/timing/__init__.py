"""The scheduler's arithmetic of time: texts to rules, rules to fires. It knows no Django and no Celery."""

from schedules.timing.blackouts import Blackouts, Segment, Window, merged, parse_blackouts, segments, tidy_windows
from schedules.timing.bounds import within
from schedules.timing.describing import Language, describe
from schedules.timing.describingblackouts import describe_blackout
from schedules.timing.errors import ExpressionError
from schedules.timing.jitter import jittered
from schedules.timing.parsing import interval_rule, once_rule, parse, validate
from schedules.timing.rules import Kind, Rule
from schedules.timing.zones import check_timezone, zone_data_version

__all__ = [
    "Blackouts",
    "ExpressionError",
    "Kind",
    "Language",
    "Rule",
    "Segment",
    "Window",
    "check_timezone",
    "describe",
    "describe_blackout",
    "interval_rule",
    "jittered",
    "merged",
    "once_rule",
    "parse",
    "parse_blackouts",
    "segments",
    "tidy_windows",
    "validate",
    "within",
    "zone_data_version",
]
