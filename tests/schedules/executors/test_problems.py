"""What is wrong with a payload, in words."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from schedules.executors.base import Payload
from schedules.executors.problems import first_problem


class Rules(BaseModel):
    last: int = Field(default=1, ge=0)


class Sample(Payload):
    keep: Annotated[int, Field(ge=1)] | Rules | None = None
    backup: int | str = "latest"
    names: dict[str, int] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("payload", "field", "text"),
    [
        ({"keep": 0}, "payload.keep", "payload.keep is 0: input should be greater than or equal to 1."),
        ({"keep": {"last": -1}}, "payload.keep.last", "payload.keep.last is -1: "),
        ({"keep": []}, "payload.keep", "payload.keep is []: "),
        ({"backup": []}, "payload.backup", "payload.backup is []: "),
        (
            {"names": {"Content-Type": "x"}},
            "payload.names.Content-Type",
            "payload.names.Content-Type is ",
        ),
        ({"kep": 1}, "payload.kep", "payload.kep is nothing that this executor knows"),
    ],
)
def test_a_problem_names_the_field_and_no_branch_of_a_union(payload: dict[str, Any], field: str, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate(payload)
    found, told = first_problem(caught.value)
    assert found == field
    assert told.startswith(text)
