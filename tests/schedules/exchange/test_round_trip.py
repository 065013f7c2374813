"""Whatever jobs there are: exported, applied elsewhere and exported again they are the same text."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from schedules.exchange import Document, write_yaml
from tests.schedules.exchange.job_strategies import TEXTS, documents
from tests.schedules.exchange.organisations import applied, exported, organisation_with_agents

# What the executor of the tests takes; what payloads may hold besides is met in test_yaml.py.
PAYLOADS = st.fixed_dictionaries({"trace": TEXTS}, optional={"seconds": st.floats(0, 9), "text": TEXTS})
VALID = documents(payloads=PAYLOADS)

pytestmark = pytest.mark.usefixtures("transactional_db")
property_test = settings(
    deadline=None,
    max_examples=20,
    # Each example is several transactions: to shrink one takes minutes, and the lines that differ say enough.
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@property_test
@given(first=VALID)
def test_an_export_applied_to_an_empty_organisation_is_exported_the_same(first: Document) -> None:
    here, there = organisation_with_agents(), organisation_with_agents()
    applied(here, write_yaml(first))
    text = exported(here)
    assert text == write_yaml(first)
    applied(there, text)
    assert exported(there) == text


@property_test
@given(first=VALID, second=VALID)
def test_whatever_there_was_becomes_what_the_file_says_and_stays_so(first: Document, second: Document) -> None:
    organisation = organisation_with_agents()
    applied(organisation, write_yaml(first))
    applied(organisation, write_yaml(second), prune=True)
    assert exported(organisation) == write_yaml(second)
    assert applied(organisation, write_yaml(second), prune=True).steps == ()
