"""The scheduler's arithmetic of time: texts to rules, rules to fires. It knows no Django and no Celery."""

from schedules.timing.bounds import within
from schedules.timing.describing import Language, describe
from schedules.timing.errors import ExpressionError
from schedules.timing.jitter import jittered
from schedules.timing.parsing import interval_rule, once_rule, parse, validate
from schedules.timing.rules import Kind, Rule
from schedules.timing.zones import check_timezone, zone_data_version

__all__ = [
    "ExpressionError",
    "Kind",
    "Language",
    "Rule",
    "check_timezone",
    "describe",
    "interval_rule",
    "jittered",
    "once_rule",
    "parse",
    "validate",
    "within",
    "zone_data_version",
]
