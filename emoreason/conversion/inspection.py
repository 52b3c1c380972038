"""What a file is before it is read: its hash, its encoding, and whether it is one at all or a pointer of Git LFS."""

import codecs
import hashlib
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

from emoreason.faults import UserError

POINTER_START = b"version https://git-lfs.github.com/spec"
POINTER_BYTES = 1024
"""Files below this are looked into: pointers of Git LFS are about 130 bytes."""


def is_pointer(path: Path) -> bool:
    """Whether a file is what Git leaves in the place of one that Git LFS has not fetched."""
    with path.open("rb") as file:
        return file.read(64).startswith(POINTER_START)


def inspected(path: Path, name: str) -> dict[str, Any]:
    """{sha256, bytes, encoding}: utf-8-sig where all of it is UTF-8, utf-16 by its byte order mark, else None and where UTF-8 ends.

    Raises:
        UserError: it cannot be read, is empty, or a pointer of Git LFS; `name` is what that says.
    """
    digest, size = hashlib.sha256(), 0
    decoder: Callable | None = codecs.getincrementaldecoder("utf-8")().decode
    broken_at, encoding = None, "utf-8-sig"
    try:
        with path.open("rb") as file:
            for chunk in chain(iter(lambda: file.read(1 << 20), b""), [b""]):
                if size == 0 and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    encoding, decoder = "utf-16", None
                digest.update(chunk)
                if decoder:
                    try:
                        decoder(chunk, final=not chunk)
                    except UnicodeDecodeError as error:
                        broken_at, encoding, decoder = size + error.start, None, None
                size += len(chunk)
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror or error}") from error
    if size == 0:
        raise UserError(f"{name}: the file is empty; copy or download it again")
    if size < POINTER_BYTES and is_pointer(path):
        raise UserError(f"{name}: a pointer of Git LFS, not the file itself; fetch it: git lfs pull")
    return {"sha256": digest.hexdigest(), "bytes": size, "encoding": encoding, **({"not_utf8_at": broken_at} if broken_at is not None else {})}
