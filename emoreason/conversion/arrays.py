"""Arrays of data sets, without running what is in them: .npy, .npz with pickled dictionaries, MATLAB's .mat."""

import io
import multiprocessing
import pickle
import tokenize
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from emoreason.conversion.faults import BadRow
from emoreason.faults import UserError

MAX_BYTES = 4 << 30
"""Of one array, unpacked; more is a mistake, or a zip bomb."""


def _latin1_bytes(text: str, _encoding: str) -> bytes:
    """What old protocols ask `codecs.encode` for; the encoding is not theirs to choose."""
    return text.encode("latin1")


_SAFE = {
    ("builtins", name): getattr(__import__("builtins"), name)
    for name in ("dict", "list", "tuple", "set", "frozenset", "str", "bytes", "bytearray", "int", "float", "complex", "bool", "slice")
} | {("collections", "OrderedDict"): dict, ("_codecs", "encode"): _latin1_bytes}
_BROKEN = (ValueError, pickle.UnpicklingError, AttributeError, IndexError, TypeError, KeyError, EOFError, OverflowError, MemoryError, SyntaxError,
           tokenize.TokenError)  # fmt: skip
"""What numpy and pickle raise for headers and pickles that are damaged."""
_NUMPY_NAMES = ("_reconstruct", "scalar", "ndarray", "dtype", "_frombuffer")


class _PlainData(pickle.Unpickler):
    """Plain containers and numpy's arrays; every other name in a pickle, which could be any function, is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _SAFE:
            return _SAFE[module, name]
        package = module.split(".")
        if package[0] == "numpy" and name in _NUMPY_NAMES and set(package[1:]) <= {"core", "_core", "multiarray", "numeric"}:
            source = np._core.numeric if name == "_frombuffer" else np._core.multiarray if name in ("_reconstruct", "scalar") else np
            return getattr(source, name)
        raise UserError(f"its pickle names {module}.{name}, which is no plain data and is not loaded")

    def persistent_load(self, pid: Any) -> Any:
        raise UserError("its pickle names something outside of the file, which is not loaded")


def read_npz(path: Path) -> dict[str, Any]:
    """{name: array} of an .npz; an array of one object, as `np.savez(x=a_dictionary)` writes it, is that object.

    Raises:
        UserError: not such a file, an array of more than `MAX_BYTES`, or a pickle that holds more than plain data.
    """
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.file_size > MAX_BYTES:
                    raise UserError(f"{path.name}: {entry.filename} holds {entry.file_size} bytes, more than {MAX_BYTES}")
                with archive.open(entry) as file:
                    found[entry.filename.removesuffix(".npy")] = array_from(file, f"{path.name}: {entry.filename}")
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise UserError(f"{path.name}: no .npz, or broken off: {error}") from error
    return found


def read_npy(path: Path) -> Any:
    """The array of an .npy.

    Raises:
        UserError: as `read_npz`.
    """
    try:
        with path.open("rb") as file:
            return array_from(file, path.name)
    except (EOFError, OSError) as error:
        raise UserError(f"{path.name}: no .npy, or broken off: {error}") from error


def read_mat(path: Path) -> dict[str, Any]:
    """{name: value} of a MATLAB file, structs as dictionaries; read by scipy, which runs nothing of it, in a process of its own, since a damaged
    file can crash it.

    Raises:
        UserError: not such a file, or one of version 7.3 (HDF5).
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_loaded_mat, path).result()
        except BrokenProcessPool as error:
            raise UserError(f"{path.name}: damaged: reading it crashes; copy or download it again") from error


def _loaded_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return {name: value for name, value in loadmat(path, simplify_cells=True).items() if not name.startswith("__")}
    except NotImplementedError as error:
        raise UserError(f"{path.name}: a MATLAB file of version 7.3; save it with -v7") from error
    except (MatReadError, ValueError, TypeError, OSError) as error:
        raise UserError(f"{path.name}: no readable MATLAB file: {error}") from error


def listed(value: Any) -> list:
    """The values that a field of a .mat holds several, one or none of."""
    return list(value) if isinstance(value, list | np.ndarray) else [] if value is None else [value]


def structs(value: Any, name: str, report: Callable[[str, BadRow], None]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(place from 1, struct) of a struct or an array of them; what is none goes to `report` as `name(place)`."""
    for place, found in enumerate(listed(value), start=1):
        if isinstance(found, dict):
            yield place, found
        else:
            report(f"{name}({place})", BadRow("no struct", f"a {type(found).__name__} where a struct is expected"))


def array_from(file: IO[bytes], name: str) -> Any:
    """The same of an open file; `name` is what faults call it."""
    content = io.BytesIO(file.read())
    try:
        with suppress(ValueError):  # of objects, or no array at all
            return np.lib.format.read_array(content, allow_pickle=False)
        content.seek(0)
        version = np.lib.format.read_magic(content)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        if not header(content)[2].hasobject:
            raise ValueError("broken off")
        value = _PlainData(content, encoding="latin1").load()
        return value.item() if isinstance(value, np.ndarray) and value.shape == () else value
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    except _BROKEN as error:
        raise UserError(f"{name}: no readable array: {error}") from error
