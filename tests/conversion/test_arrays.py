"""Arrays of data sets: plain data comes back, anything else in a pickle does not run."""

import collections
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from emoreason.conversion import arrays
from emoreason.faults import UserError

CORPUS = {"sample_00000001": {"emo": "happy", "val": 3.5}, "sample_00000002": {"emo": "sad", "val": np.float64(-2.0)}}


def test_a_pickled_dictionary_in_an_npz_is_plain_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "label.npz", train_corpus=CORPUS, names=np.array(["a", "b"]), mixed=np.array([{"a": 1}, None], dtype=object))
    found = arrays.read_npz(tmp_path / "label.npz")
    assert found["train_corpus"] == CORPUS and found["names"].tolist() == ["a", "b"] and found["mixed"].tolist() == [{"a": 1}, None]


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_every_protocol_of_pickles_is_read(protocol: int) -> None:
    value = {"array": np.arange(6.0).reshape(2, 3), "scalar": np.int64(3), "ordered": collections.OrderedDict(a=1), "words": np.array(["x"])}
    found = arrays._PlainData(io.BytesIO(pickle.dumps(value, protocol=protocol)), encoding="latin1").load()
    assert found["array"].tolist() == [[0, 1, 2], [3, 4, 5]] and found["words"].tolist() == ["x"]
    assert found["scalar"] == 3 and found["ordered"] == {"a": 1}


class _Attack:
    def __init__(self, function: object, *arguments: object):
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize("attack", [_Attack(os.system, "touch owned"), _Attack(eval, "1 + 1"), _Attack(getattr, "x", "upper"), _Attack(np.load, "x")])
def test_a_pickle_that_names_a_function_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: _Attack) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "label.npz", corpus=np.array(attack, dtype=object))
    with pytest.raises(UserError, match=r"label.npz: corpus.npy: its pickle names .*no plain data"):
        arrays.read_npz(tmp_path / "label.npz")
    assert not (tmp_path / "owned").exists()


def test_an_array_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.npy", b"\0" * 100_000)
    monkeypatch.setattr(arrays, "MAX_BYTES", 50_000)
    with pytest.raises(UserError, match=r"zeros.npy holds 100000 bytes"):
        arrays.read_npz(tmp_path / "bomb.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"not a zip at all"])
def test_a_broken_npz_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "label.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"label.npz: no .npz, or broken off"):
        arrays.read_npz(tmp_path / "label.npz")


def test_scalars_stored_as_strings_and_broken_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "0_exp.npy", np.array("7"))
    assert str(arrays.read_npy(tmp_path / "0_exp.npy")) == "7"
    whole = (tmp_path / "0_exp.npy").read_bytes()
    for content in (b"", b"x", whole[:20], whole[:-2]):
        (tmp_path / "broken.npy").write_bytes(content)
        with pytest.raises(UserError, match=r"broken.npy: no readable array"):
            arrays.read_npy(tmp_path / "broken.npy")


def test_structs_of_matlab_are_dictionaries(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"train": {"filename": "x.jpg", "bbox": np.array([1, 2, 3, 4])}})
    train = arrays.read_mat(tmp_path / "a.mat")["train"]
    assert train["filename"] == "x.jpg" and train["bbox"].tolist() == [1, 2, 3, 4]
    for content in (b"", b"junk" * 100):
        (tmp_path / "b.mat").write_bytes(content)
        with pytest.raises(UserError, match=r"b.mat: no readable MATLAB file"):
            arrays.read_mat(tmp_path / "b.mat")
    (tmp_path / "c.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" * 40)
    with pytest.raises(UserError, match=r"version 7.3"):
        arrays.read_mat(tmp_path / "c.mat")


def test_a_matlab_file_that_crashes_its_reader_is_named(tmp_path: Path) -> None:
    savemat(tmp_path / "d.mat", {"train": {"filename": "x.jpg", "bbox": np.array([1, 2, 3, 4])}})
    content = bytearray((tmp_path / "d.mat").read_bytes())
    content[336] = 96  # a length, beyond the end of the file
    (tmp_path / "d.mat").write_bytes(content)
    with pytest.raises(UserError, match=r"d.mat: (damaged|no readable)"):
        arrays.read_mat(tmp_path / "d.mat")
