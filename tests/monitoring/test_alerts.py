"""Alerts: one row while open, people told once."""

from __future__ import annotations

import pytest

from fleet.errors import InvalidInput
from fleet.models import Organisation
from monitoring.models import Alert, Notification
from monitoring.services import alert_raise, alert_resolve


@pytest.fixture
def organisation(db: None) -> Organisation:
    return Organisation.objects.create(slug="main", name="Main")


def raise_it(organisation: Organisation | None) -> Alert:
    return alert_raise(organisation=organisation, key="backup.failed:one", severity="critical", title="No backup")


def test_an_open_alert_is_one_row_and_one_message(organisation: Organisation) -> None:
    raise_it(organisation)
    assert raise_it(organisation).count == 2
    assert Alert.objects.count() == Notification.objects.count() == 1


def test_resolving_says_so_once_and_opens_the_way_for_the_next(organisation: Organisation) -> None:
    raise_it(organisation)
    assert alert_resolve(organisation=organisation, key="backup.failed:one")
    assert not alert_resolve(organisation=organisation, key="backup.failed:one")
    raise_it(organisation)
    assert Alert.objects.count() == 2
    assert Notification.objects.count() == 3


def test_an_alert_of_the_whole_watch_is_one_row_too(db: None) -> None:
    raise_it(None)
    raise_it(None)
    assert Alert.objects.count() == 1


def test_an_unknown_severity_is_refused(organisation: Organisation) -> None:
    with pytest.raises(InvalidInput):
        alert_raise(organisation=organisation, key="x", severity="meh", title="x")
