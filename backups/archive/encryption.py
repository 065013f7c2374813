"""Client-side encryption of archives in the ``age`` format (age-encryption.org/v1), streamed both ways.

A recipient (``age1…``) is public and is all that writing needs; its identity (``AGE-SECRET-KEY-…``) is the
only thing that reads what was written. Both come as texts that somebody else has resolved from references;
identities never show in a ``repr`` or in an error.

What is decrypted is authentic chunk by chunk (64 KiB), but only the end proves that it is whole: **do nothing
irreversible with it before** ``read`` **has answered** ``b""``. Whoever stops reading earlier has proven nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from backups.archive.codec import Codec
from backups.archive.errors import ArchiveDamagedError, ArchiveError
from backups.archive.stores import Readable, nothing

_MAGIC = b"age-encryption.org/v1\n"
_SECRET = "AGE-SECRET-KEY-"  # noqa: S105 - how one begins
#: Of the 62 characters of a recipient: 60 bits, which nobody meets by chance.
_ID_LENGTH = 16
_CHUNK = 256 * 1024


class RecipientInvalidError(ArchiveError):
    code = "recipient_invalid"
    retryable = False


class IdentityInvalidError(ArchiveError):
    code = "identity_invalid"
    retryable = False


class WrongIdentityError(ArchiveError):
    """The archive is encrypted, but not for the identity that was given."""

    code = "wrong_identity"
    retryable = False


class NotEncryptedError(ArchiveError):
    code = "not_encrypted"
    retryable = False


def key_id(recipient: str) -> str:
    """A short, stable id of a recipient for manifests and messages: ``age1`` and the twelve characters after it."""
    _recipient(recipient)
    return recipient.strip()[:_ID_LENGTH]


def key_id_of(identity: str) -> str:
    """The :func:`key_id` of the recipient that belongs to an identity: what it can read."""
    return ", ".join(str(found.to_public())[:_ID_LENGTH] for found in _identities(identity))


class EncryptingSink:
    """``write`` takes what is to be encrypted, ``sink`` gets what is, both in the caller's thread.

    Use it as a context manager, or end it with :meth:`close` (which writes what proves the end) or
    :meth:`abort`. Leaving the block by an exception aborts: what the sink has got then is no archive.
    ``on_wait`` may raise to end the work.
    """

    def __init__(
        self,
        sink: Callable[[bytes], None],
        recipients: Sequence[str],
        *,
        on_wait: Callable[[], None] = nothing,
    ) -> None:
        keys = [_recipient(text) for text in recipients]
        if not keys:
            raise RecipientInvalidError("Nobody could ever read this archive: no recipient (age1…) was given.")
        self._sink, self._on_wait = sink, on_wait
        self._codec = Codec(lambda source, target: _pyrage().encrypt_io(source, target, keys))

    def write(self, data: bytes) -> None:
        self._codec.feed(data)
        self._pass_on()
        while not self._codec.has_room:
            self._codec.rest()
            self._on_wait()
            self._pass_on()

    def _pass_on(self) -> None:
        while chunk := self._codec.take():
            self._sink(chunk)
        self._codec.check()

    def close(self) -> None:
        """Encrypt the rest and wait for it. Idempotent."""
        self._codec.finish()
        while not self._codec.over:
            self._pass_on()
            self._codec.rest()
            self._on_wait()
        self._pass_on()

    def abort(self) -> None:
        """End the thread. Idempotent, never raises."""
        self._codec.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.close()
        finally:
            self.abort()


class DecryptingReader:
    """A :class:`Readable` of what ``source`` holds encrypted; read to its end before it is trusted (see above).

    ``encrypted_for`` is the key id that a manifest names, for the message when the identity does not fit.
    ``source`` is read in the caller's thread and closed with this.
    """

    def __init__(
        self,
        source: Readable,
        identity: str,
        *,
        encrypted_for: str = "",
        on_wait: Callable[[], None] = nothing,
    ) -> None:
        keys = _identities(identity)
        self._source, self._on_wait = source, on_wait
        self._for = encrypted_for
        self._mine = ", ".join(str(key.to_public())[:_ID_LENGTH] for key in keys)
        self._head = memoryview(b"")
        self._start = b""
        self._fed_all = False
        self._codec = Codec(lambda cipher, target: _pyrage().decrypt_io(cipher, target, keys))

    def read(self, size: int) -> bytes:
        if not self._head:
            self._head = memoryview(self._next())
        data = bytes(self._head[:size])
        self._head = self._head[size:]
        return data

    def _next(self) -> bytes:
        while True:
            if chunk := self._codec.take():
                return chunk
            if self._codec.over:
                self._require_good_end()
                # What came between the look and the end.
                return self._codec.take()
            if self._codec.has_room and not self._fed_all:
                self._feed()
            else:
                self._codec.rest()
                self._on_wait()

    def _feed(self) -> None:
        data = self._source.read(_CHUNK)
        if len(self._start) < len(_MAGIC):
            self._start += data[: len(_MAGIC)]
        if data:
            self._codec.feed(data)
        else:
            self._fed_all = True
            self._codec.finish()

    def _require_good_end(self) -> None:
        error = self._codec.error
        if isinstance(error, Exception):
            raise self._meaning(error)
        self._codec.check()

    def _meaning(self, error: Exception) -> ArchiveError:
        """pyrage has one class for all of it, and only words to tell them apart."""
        if not _MAGIC.startswith(self._start[: len(_MAGIC)]):
            return NotEncryptedError(
                "This archive is not encrypted, at least not by age (or its very beginning is damaged). Nothing was "
                "restored: read it without an identity, or check that it is the right file.",
            )
        if "No matching keys" in str(error):
            known = f"encrypted for {self._for}; give its identity" if self._for else "encrypted for another key"
            return WrongIdentityError(
                f"The archive is {known}. The one that was given belongs to {self._mine}. (Damage to the archive's "
                "very beginning looks the same.) Nothing was restored.",
            )
        return ArchiveDamagedError(
            f"The encrypted archive is damaged or ends too early ({error}). What came before it may be a part of the "
            "archive, never the whole: nothing was restored, take another one.",
        )

    def close(self) -> None:
        """Ends the thread and closes the source. Idempotent."""
        self._codec.stop()
        self._source.close()


def _pyrage() -> Any:
    # Imported here: only those who encrypt pay for it.
    import pyrage  # type: ignore[import-untyped]  # noqa: PLC0415

    return pyrage


def _recipient(text: str) -> Any:
    text = text.strip()
    if text.upper().startswith(_SECRET):
        raise RecipientInvalidError(
            "What was given as a recipient is an identity, which is secret and must not lie where archives are "
            "written: give its public half (age1…; age-keygen -y shows it).",
        )
    with contextlib.suppress(Exception):
        return _pyrage().x25519.Recipient.from_str(text)
    shown = f"'{text[:80]}'" if text.startswith("age1") else "what was given"
    raise RecipientInvalidError(
        f"{shown} is not a recipient of age: one looks like age1 and 58 letters and digits behind it "
        "(age-keygen makes a pair of keys).",
    )


def _identities(text: str) -> list[Any]:
    """Of a bare key, or of a file as age-keygen writes it. Errors never show it."""
    lines = [line.strip() for line in text.splitlines()]
    found = []
    for line in lines:
        if line and not line.startswith("#"):
            with contextlib.suppress(Exception):
                found.append(_pyrage().x25519.Identity.from_str(line))
                continue
            raise _invalid_identity()
    if not found:
        raise _invalid_identity()
    return found


def _invalid_identity() -> IdentityInvalidError:
    return IdentityInvalidError(
        f"What was given is not an identity of age: one looks like {_SECRET}1… (a recipient, age1…, can only write). "
        "Check the secret that the reference names.",
    )
