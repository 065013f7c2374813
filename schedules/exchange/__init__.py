"""Jobs as text: crontabs, Dkron's exports and our own YAML, read and written. It knows no Django and no database."""

from schedules.exchange.documents import BlackoutDocument, Document, Entry, JobDocument
from schedules.exchange.plans import FieldChange, Plan, Step, plan
from schedules.exchange.problems import Problem, Refused
from schedules.exchange.reading import FORMATS, guess_format, read
from schedules.exchange.sources import AgentTarget, Source
from schedules.exchange.yaml_writing import as_json, write_yaml

__all__ = (
    "FORMATS",
    "AgentTarget",
    "BlackoutDocument",
    "Document",
    "Entry",
    "FieldChange",
    "JobDocument",
    "Plan",
    "Problem",
    "Refused",
    "Source",
    "Step",
    "as_json",
    "guess_format",
    "plan",
    "read",
    "write_yaml",
)
