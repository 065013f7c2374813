"""Archives that only the holder of an identity reads, in the format of age."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backups.archive import codec, encryption
from backups.archive.encryption import (
    DecryptingReader,
    EncryptingSink,
    IdentityInvalidError,
    NotEncryptedError,
    RecipientInvalidError,
    WrongIdentityError,
    key_id,
    key_id_of,
)
from backups.archive.errors import ArchiveDamagedError, ArchiveError, EndedEarlyError

KEY = pyrage.x25519.Identity.generate()
IDENTITY, RECIPIENT = str(KEY), str(KEY.to_public())
OTHER = pyrage.x25519.Identity.generate()


def encrypted(content: bytes, sizes: list[int] | None = None, recipients: tuple[str, ...] = (RECIPIENT,)) -> bytes:
    parts: list[bytes] = []
    rest = memoryview(content)
    with EncryptingSink(parts.append, recipients) as sink:
        for size in sizes or [len(content)]:
            sink.write(bytes(rest[:size]))
            rest = rest[size:]
        sink.write(bytes(rest))
    return b"".join(parts)


def decrypted(ciphertext: bytes, identity: str = IDENTITY, size: int = 100_000, source: object = None) -> bytes:
    with contextlib.closing(DecryptingReader(source or io.BytesIO(ciphertext), identity)) as reader:
        return b"".join(iter(lambda: reader.read(size), b""))


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "archive-codec"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> object:
    yield
    assert threads() == []


class Dribble(io.RawIOBase):
    """A source that answers with as much as it likes."""

    def __init__(self, content: bytes, seed: int) -> None:
        self._content, self._dice = io.BytesIO(content), random.Random(seed)

    def read(self, size: int = -1) -> bytes:
        return self._content.read(self._dice.randrange(1, size + 1))


@settings(max_examples=40, deadline=None)
@given(
    length=st.one_of(st.integers(0, 400_000), st.sampled_from([0, 1, 65_535, 65_536, 65_537, 131_072, 262_144])),
    sizes=st.lists(st.integers(0, 150_000), min_size=1, max_size=8),
    size=st.integers(1_000, 300_000),
    seed=st.integers(0, 1000),
)
def test_what_goes_in_comes_out_however_it_is_cut(length: int, sizes: list[int], size: int, seed: int) -> None:
    content = random.Random(seed).randbytes(length)
    ciphertext = encrypted(content, sizes)
    assert decrypted(ciphertext, size=size) == content
    assert decrypted(b"", size=size, source=Dribble(ciphertext, seed)) == content
    assert pyrage.decrypt(ciphertext, [KEY]) == content


@settings(max_examples=120, deadline=None)
@given(
    length=st.sampled_from([0, 100, 65_536, 200_000]), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7)
)
def test_any_flipped_bit_is_an_error(length: int, where: float, bit: int) -> None:
    ciphertext = bytearray(encrypted(bytes(length)))
    ciphertext[int(where * len(ciphertext))] ^= 1 << bit
    with pytest.raises(ArchiveError):
        decrypted(bytes(ciphertext))


@settings(max_examples=60, deadline=None)
@given(length=st.sampled_from([0, 100, 65_536, 200_000]), where=st.floats(0, 1, exclude_max=True))
def test_any_cut_is_an_error(length: int, where: float) -> None:
    ciphertext = encrypted(bytes(length))
    with pytest.raises(ArchiveError):
        decrypted(ciphertext[: int(where * len(ciphertext))])


def test_each_byte_of_the_header_counts() -> None:
    ciphertext = encrypted(b"content")
    for position in range(len(ciphertext)):
        damaged = bytearray(ciphertext)
        damaged[position] ^= 1
        with pytest.raises(ArchiveError):
            decrypted(bytes(damaged))


def test_what_is_cut_at_a_chunk_or_goes_on_behind_the_end_is_damaged() -> None:
    ciphertext = encrypted(bytes(3 * 65_536))
    for damaged in (ciphertext[: -(65_536 + 16)], ciphertext + b"x", ciphertext + ciphertext):
        with pytest.raises(ArchiveDamagedError, match="damaged or ends too early"):
            decrypted(damaged)


def test_two_recipients_each_read_it() -> None:
    ciphertext = encrypted(b"content", recipients=(RECIPIENT, str(OTHER.to_public())))
    assert decrypted(ciphertext) == decrypted(ciphertext, str(OTHER)) == b"content"


def test_an_identity_file_as_age_keygen_writes_it() -> None:
    text = f"# created: 2026-01-01T00:00:00Z\n# public key: {RECIPIENT}\n{IDENTITY}\n\n"
    assert decrypted(encrypted(b"content"), text) == b"content"
    assert decrypted(encrypted(b"content"), f"{OTHER}\n{IDENTITY}") == b"content"


def test_the_wrong_identity_is_said_with_the_right_one() -> None:
    ciphertext = encrypted(b"content")
    reader = DecryptingReader(io.BytesIO(ciphertext), str(OTHER), encrypted_for=key_id(RECIPIENT))
    with pytest.raises(WrongIdentityError) as caught, contextlib.closing(reader):
        reader.read(10)
    assert f"encrypted for {RECIPIENT[:16]}; give its identity" in str(caught.value)
    assert key_id_of(str(OTHER)) in str(caught.value)
    assert str(OTHER) not in str(caught.value) + repr(reader)


@pytest.mark.parametrize("content", [b"", b"age", b"\x1f\x8b" * 1000, b"hello"])
def test_what_is_not_encrypted_is_said_so(content: bytes) -> None:
    error = ArchiveDamagedError if b"age-encryption".startswith(content) else NotEncryptedError
    with pytest.raises(error):
        decrypted(content)


def test_what_a_passphrase_locks_is_not_ours() -> None:
    with pytest.raises(ArchiveError):
        decrypted(pyrage.passphrase.encrypt(b"content", "word"))


@pytest.mark.parametrize("text", ["", "age1", "age1xyz", "cut", "longer", "ssh-ed25519 AAAA", "hunter2"])
def test_what_is_no_recipient(text: str) -> None:
    # Names, not values: each process of the tests makes keys of its own.
    text = {"cut": RECIPIENT[:-1], "longer": RECIPIENT + "q"}.get(text, text)
    for use in (key_id, lambda each: EncryptingSink(print, [each])):
        with pytest.raises(RecipientInvalidError, match="is not a recipient of age") as caught:
            use(text)
        assert "hunter2" not in str(caught.value)


def test_an_identity_is_no_recipient_and_a_recipient_no_identity() -> None:
    with pytest.raises(RecipientInvalidError, match="is secret") as caught:
        key_id(IDENTITY)
    assert IDENTITY not in str(caught.value)
    with pytest.raises(RecipientInvalidError, match="Nobody could ever read"):
        EncryptingSink(print, [])
    for text in (RECIPIENT, "", "# only a comment", IDENTITY[:-3], f"{IDENTITY}\nhunter2"):
        with pytest.raises(IdentityInvalidError) as refused:
            DecryptingReader(io.BytesIO(), text)
        assert not any(part in str(refused.value) for part in ("hunter2", IDENTITY[16:]))
        assert refused.value.__cause__ is refused.value.__context__ is None


def test_key_ids_are_short_and_stable() -> None:
    known = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
    assert key_id(f" {known}\n") == "age1t7rxyev2z3rw"
    assert key_id_of(IDENTITY) == key_id(RECIPIENT)


def test_a_failing_sink_ends_all() -> None:
    def full(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    def write() -> None:
        with EncryptingSink(full, [RECIPIENT]) as sink:
            for _ in range(100):
                sink.write(bytes(1_000_000))

    with pytest.raises(OSError, match="No space"):
        write()


def test_a_failing_source_ends_all() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 500_000:
                raise ArchiveDamagedError("broken")
            return super().read(size)

    with pytest.raises(ArchiveDamagedError, match=r"^broken$"):
        decrypted(b"", source=Broken(encrypted(bytes(2_000_000))))


def test_an_exception_in_the_block_leaves_no_archive() -> None:
    parts: list[bytes] = []

    def write() -> None:
        with EncryptingSink(parts.append, [RECIPIENT]) as sink:
            sink.write(bytes(300_000))
            raise EndedEarlyError("enough")

    with pytest.raises(EndedEarlyError):
        write()
    with pytest.raises(ArchiveError):
        decrypted(b"".join(parts))


def test_being_stopped_ends_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library hangs, as on a machine that swaps; who waits is asked and may leave."""
    gate = threading.Event()

    class Slow:
        @staticmethod
        def encrypt_io(source: codec.Codec, target: codec.Codec, _: object) -> None:
            while source.read(8192):
                gate.wait(0.3)
            target.write(b"")

        decrypt_io = encrypt_io
        x25519 = pyrage.x25519

    def stop() -> None:
        raise EndedEarlyError("enough")

    ciphertext = encrypted(bytes(5_000_000))
    monkeypatch.setattr(encryption, "_pyrage", lambda: Slow)
    started = time.monotonic()
    with pytest.raises(EndedEarlyError), EncryptingSink(print, [RECIPIENT], on_wait=stop) as sink:
        sink.write(bytes(5_000_000))
    reader = DecryptingReader(io.BytesIO(ciphertext), IDENTITY, on_wait=stop)
    with pytest.raises(EndedEarlyError), contextlib.closing(reader):
        reader.read(10)
    assert time.monotonic() - started < 2


def test_closing_in_the_middle_ends_the_thread_and_closes_the_source() -> None:
    source = io.BytesIO(encrypted(bytes(20_000_000)))
    reader = DecryptingReader(source, IDENTITY)
    assert reader.read(10) == bytes(10)
    reader.close()
    reader.close()
    assert source.closed


def test_little_waits_in_memory() -> None:
    most = 0

    class Source(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            nonlocal most
            most = max(most, reader._codec._waiting_in + reader._codec._waiting_out)
            return super().read(size)

    reader = DecryptingReader(Source(encrypted(bytes(20_000_000))), IDENTITY)
    with contextlib.closing(reader):
        while reader.read(1_000_000):
            pass
    assert most < 4 * codec.ROOM


def test_an_age_program_reads_ours_and_we_read_its(tmp_path: Path) -> None:
    program = shutil.which("age") or shutil.which("rage")
    if program is None:
        pytest.skip("neither age nor rage is installed here")
    content = random.Random(1).randbytes(300_000)
    (tmp_path / "identity").write_text(IDENTITY)
    ours = subprocess.run(
        [program, "-d", "-i", tmp_path / "identity"], input=encrypted(content), capture_output=True, check=True
    )
    assert hashlib.sha256(ours.stdout).digest() == hashlib.sha256(content).digest()
    theirs = subprocess.run([program, "-r", RECIPIENT], input=content, capture_output=True, check=True)
    assert decrypted(theirs.stdout) == content


def test_a_reading_that_ends_early_leaves_no_thread() -> None:
    import threading

    from backups.archive.reading import Reading

    cipher = pyrage.encrypt(b"no archive" * 100_000, [pyrage.x25519.Recipient.from_str(RECIPIENT)])
    before = threading.active_count()
    for _ in range(3):
        with (
            pytest.raises(ArchiveDamagedError),
            Reading(
                io.BytesIO(cipher), top="workspace", decrypted=lambda stream: DecryptingReader(stream, IDENTITY)
            ) as reading,
        ):
            list(reading)
    assert threading.active_count() <= before
