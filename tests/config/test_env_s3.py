"""How archives in S3 are protected: refused at start with the variable's name, its value and the way out."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"SSE": "aes256"}, "S3_SSE is 'aes256': give AES256 or aws:kms"),
        ({"SSE_KMS_KEY_ID": "k"}, "S3_SSE_KMS_KEY_ID is 'k', but S3_SSE is '': give S3_SSE=aws:kms"),
        ({"SSE": "AES256", "SSE_KMS_KEY_ID": "k"}, "S3_SSE_KMS_KEY_ID is 'k', but S3_SSE is 'AES256'"),
        ({"OBJECT_LOCK_MODE": "yes", "OBJECT_LOCK_DAYS": "3"}, "S3_OBJECT_LOCK_MODE is 'yes': give GOVERNANCE"),
        ({"OBJECT_LOCK_MODE": "COMPLIANCE"}, "S3_OBJECT_LOCK_DAYS is '', but S3_OBJECT_LOCK_MODE is "),
        ({"OBJECT_LOCK_DAYS": "3"}, "S3_OBJECT_LOCK_DAYS is '3', but S3_OBJECT_LOCK_MODE is '': give GOVERNANCE or"),
        *(
            ({"OBJECT_LOCK_MODE": "GOVERNANCE", "OBJECT_LOCK_DAYS": text}, f"S3_OBJECT_LOCK_DAYS is {text!r}: give a")
            for text in ("0", "-1", "1.5", "36501", "99999999999999", "many", "٣")
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(given: dict[str, str], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"S3_{name}", value)
    with pytest.raises(ImproperlyConfigured) as refused:
        env.s3()
    assert str(refused.value).startswith(text)


def test_what_is_given_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "S3_SSE": "aws:kms",
        "S3_SSE_KMS_KEY_ID": "arn:aws:kms:eu-central-1:1:key/2",
        "S3_OBJECT_LOCK_MODE": "GOVERNANCE",
        "S3_OBJECT_LOCK_DAYS": " 30 ",
    }.items():
        monkeypatch.setenv(name, value)
    found = env.s3()
    assert (found.sse, found.sse_kms_key_id) == ("aws:kms", "arn:aws:kms:eu-central-1:1:key/2")
    assert (found.object_lock_mode, found.object_lock_days) == ("GOVERNANCE", 30)


def test_by_default_nothing_is_asked_for() -> None:
    found = env.s3()
    assert (found.sse, found.sse_kms_key_id, found.object_lock_mode, found.object_lock_days) == ("", "", "", 0)
    assert (found.part_size, found.read_timeout) == (8 * 1024 * 1024, 60)
