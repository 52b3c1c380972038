"""Annotation that comes as a file for each picture or clip: thousands of small files, which the account lists as one."""

import hashlib
import io
import json
import os
from functools import lru_cache
from typing import Any

from emoreason.conversion import arrays
from emoreason.conversion.cells import relative_path
from emoreason.conversion.faults import BadRow
from emoreason.conversion.inspection import POINTER_START
from emoreason.conversion.source import Source

MAX_BYTES = 64 << 20


def read_bytes(source: Source, name: str, of: str) -> bytes:
    """A file of the source folder. The account lists it under `of` with all the others: how many, their bytes, one digest in their order.

    Raises:
        BadRow: it is not there, leads out of the folder, is empty, a pointer of Git LFS, or more than `MAX_BYTES`.
    """
    name = relative_path(name)
    root = str(source.root)
    path = f"{root}/{name}"  # no Path, which would take longer than the reading
    if not _is_inside(os.path.dirname(path), root) or (os.path.islink(path) and not _is_inside(path, root)):
        raise BadRow("annotation leads out of the folder", f"{name}: a link that leads out of {root}; copy what it names")
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadRow("annotation is not there", f"{name}: cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise BadRow("annotation is too large", f"{name}: more than {MAX_BYTES} bytes, which no annotation of one picture or clip has")
    if not content or content.startswith(POINTER_START):
        what = "a pointer of Git LFS" if content else "empty"
        raise BadRow(f"annotation is {what}", f"{name}: {what}; download it again, or fetch it: git lfs pull")
    noted = source.inputs.setdefault(of, {"sha256": "", "bytes": 0, "encoding": None, "files": 0})
    noted["files"] += 1
    noted["bytes"] += len(content)
    noted["sha256"] = hashlib.sha256(f"{noted['sha256']}{name}\0".encode() + content).hexdigest()
    return content


@lru_cache(4096)
def _is_inside(path: str, folder: str) -> bool:
    return f"{os.path.realpath(path)}/".startswith(f"{os.path.realpath(folder)}/")


def read_object(source: Source, name: str, of: str) -> dict[str, Any]:
    """The JSON object in such a file."""
    content = read_bytes(source, name, of)
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadRow("annotation is no JSON", f"{name}: {error}") from error
    if not isinstance(value, dict):
        raise BadRow("annotation is no JSON object", f"{name}: a {type(value).__name__} where an object is expected")
    return value


def read_scalar(source: Source, name: str, of: str) -> Any:
    """What an .npy of one value holds: a number, or a text, as some releases store numbers."""
    content = read_bytes(source, name, of)
    try:
        value = arrays.array_from(io.BytesIO(content), name)
        return value.item() if hasattr(value, "item") else value
    except (ValueError, SystemError) as error:  # the second for text that is none of Unicode
        raise BadRow("annotation is no array of one value", f"{name}: {error}") from error
