"""The content of one page of a table (https://www.sqlite.org/fileformat.html#b_tree_pages)."""

from __future__ import annotations

from collections.abc import Iterator

INTERIOR, LEAF = 0x05, 0x0D
_INTERIOR_HEADER, _LEAF_HEADER = 12, 8
_FIRST_PAGE_HEADER = 100
_LARGEST = 65536
#: A cell that is freed must hold a link and a size.
_SMALLEST_CELL = 4
_BIT, _SEVEN, _LONGEST_VARINT = 0x80, 0x7F, 9

Range = tuple[int, int]
Span = tuple[int, int]


def number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 4], "big")


def _start(page: int) -> int:
    return _FIRST_PAGE_HEADER if page == 1 else 0


def kind(page: int, content: bytes) -> int:
    start = _start(page)
    return content[start] if len(content) > start + _LEAF_HEADER else 0


def outside(page: int, content: bytes, low: int, high: int) -> tuple[Range, ...]:
    """By a leaf's first and last key: between them they ascend, or SQLite notices."""
    start = _start(page)
    count = _pair(content, start + 3)
    keys = [_leaf_key(content, _pair(content, start + _LEAF_HEADER + 2 * at)) for at in (0, count - 1) if count]
    below = [(min(keys), low - 1)] if keys and min(keys) < low else []
    above = [(high + 1, max(keys))] if keys and max(keys) > high else []
    return (*below, *above)


def _leaf_key(content: bytes, cell: int) -> int:
    """A leaf's cell begins with the length of its row, then comes its rowid."""
    return _varint(content, cell + _varint_size(content, cell))


def _varint_size(content: bytes, at: int) -> int:
    return next(
        (number + 1 for number, byte in enumerate(content[at : at + _LONGEST_VARINT]) if byte < _BIT), _LONGEST_VARINT
    )


def _pair(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 2], "big")


def children(page: int, content: bytes, low: int, high: int) -> list[tuple[int, int, int]] | None:
    """Children with the rowids that each may hold; None when the page can't be what it claims to be."""
    found = []
    for child, key in _cells(page, content):
        if child <= 0 or not low <= key <= high:
            return None
        found.append((child, low, key))
        low = key + 1
    right = number(content, _start(page) + 8)
    if right <= 0 or low > high:
        return None
    return [*found, (right, low, high)]


def _cells(page: int, content: bytes) -> Iterator[tuple[int, int]]:
    """Left child and key of each cell; a child of 0 for one that doesn't fit its page."""
    start = _start(page)
    count = _pair(content, start + 3)
    for position in range(count):
        at = start + _INTERIOR_HEADER + 2 * position
        cell = _pair(content, at)
        if cell < start + _INTERIOR_HEADER or cell + 5 > len(content):
            yield 0, 0
            return
        yield number(content, cell), _varint(content, cell + 4)


def _varint(content: bytes, at: int) -> int:
    value = 0
    for byte in content[at : at + 8]:
        value = value << 7 | byte & _SEVEN
        if byte < _BIT:
            return _signed(value)
    ninth = content[at + 8] if at + 8 < len(content) else 0
    return _signed(value << 8 | ninth)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def intact(page: int, content: bytes, usable: int) -> bool:
    """Whether the page's cells, free blocks and fragments fill it exactly: a wrong count of cells shows here."""
    start = _start(page)
    begin = _pair(content, start + 5) or _LARGEST
    spans = [*_spans(page, content, usable), *_free_blocks(content, start)]
    header = _INTERIOR_HEADER if kind(page, content) == INTERIOR else _LEAF_HEADER
    if start + header + 2 * _pair(content, start + 3) > begin:
        return False
    at, filled = begin, 0
    for first, size in sorted(spans):
        if first < at or first + size > usable:
            return False
        at, filled = first + size, filled + size
    return filled + content[start + 7] == usable - begin


def _spans(page: int, content: bytes, usable: int) -> Iterator[Span]:
    """Where each cell begins, and its size."""
    start = _start(page)
    interior = kind(page, content) == INTERIOR
    header = _INTERIOR_HEADER if interior else _LEAF_HEADER
    for position in range(_pair(content, start + 3)):
        cell = _pair(content, start + header + 2 * position)
        size = 4 + _varint_size(content, cell + 4) if interior else _leaf_cell_size(content, cell, usable)
        yield cell, max(size, _SMALLEST_CELL)


def _leaf_cell_size(content: bytes, cell: int, usable: int) -> int:
    prefix = _varint_size(content, cell)
    prefix += _varint_size(content, cell + prefix)
    return prefix + _local(_varint(content, cell), usable)


def _local(payload: int, usable: int) -> int:
    """Bytes of a row that lie in its leaf, with the pointer to the rest of them."""
    if payload <= usable - 35:
        return max(payload, 0)
    least = (usable - 12) * 32 // 255 - 23
    some = least + (payload - least) % (usable - 4)
    return (some if some <= usable - 35 else least) + 4


def _free_blocks(content: bytes, start: int) -> Iterator[Span]:
    block = _pair(content, start + 1)
    while 0 < block <= len(content) - _SMALLEST_CELL:
        following = _pair(content, block)
        yield block, _pair(content, block + 2)
        block = following if following > block else 0
