"""Pairs on disk are records: they can be read, trained on and paired again, and their media lie where they lay."""

from pathlib import Path

import pytest
from conftest import TINY, copy_records, rows_of

from emoreason.completions import Template
from emoreason.faults import UserError
from emoreason.files import read_json
from emoreason.media import record_media
from emoreason.pair_files import linked_records, read_pairs, write_pairs
from emoreason.preferences import Pairs, cue_pairs, recorded_pairs
from emoreason.recipe import DataSource, MediaSettings
from emoreason.run_dir import RunDir
from emoreason.training_data import Example, read_sources

LABEL = Template("free", "label")


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    """Faces of two emotions in two folders of data."""
    rows = rows_of(TINY / "data" / "train.jsonl")
    by_label = {label: [row for row in rows if row["target"]["label"] == label] for label in ("joy", "anger")}
    for name, found in (("one", by_label["joy"][:2] + by_label["anger"][:2]), ("two", by_label["joy"][2:4] + by_label["anger"][2:4])):
        copy_records(found, TINY / "data", tmp_path / "data" / name / "faces.jsonl")
    return [example for source in read_sources([DataSource(path=str(tmp_path / f"data/{name}/faces.jsonl")) for name in ("one", "two")])
            for example in source]  # fmt: skip


def write(run_dir: RunDir, examples: list[Example], make=lambda records: cue_pairs(records, LABEL, "What does the face show?", 0)) -> Pairs:
    run_dir.path.mkdir(parents=True)
    pairs = make(linked_records(examples, run_dir.path))
    write_pairs(run_dir, {"cues": pairs}, LABEL, len)
    return pairs


def test_pairs_are_records_whose_media_are_found(tmp_path: Path, examples: list[Example], capsys: pytest.CaptureFixture) -> None:
    run_dir = RunDir(tmp_path / "runs/dpo")
    pairs = write(run_dir, examples)
    read, num_records = read_pairs(run_dir)
    assert [one.record for one in read] == pairs.records and num_records == len(read) == 8
    settings = MediaSettings(min_pixels=64, max_pixels=4096)
    for before, after in zip(examples, read, strict=True):
        assert after.record.id == f"{before.record.id}#cues"
        assert [one.digest for one in after.media(settings)] == [one.digest for one in before.media(settings)]
        other = after.record.model_copy(update={"media": after.record.preference.rejected_media})
        assert record_media(other, after.records_path, settings)[0].digest != after.media(settings)[0].digest
    assert {path.name: path.resolve() for path in (run_dir.path / "media").iterdir()} == {
        "0": (tmp_path / "data/one").resolve(), "1": (tmp_path / "data/two").resolve(),
    }  # fmt: skip
    assert not any((run_dir.path / "media/0").readlink().is_absolute() for _ in "1"), "so that data and runs can move together"
    assert "8 preference pairs: how alike are the two sides?" in capsys.readouterr().out


def test_what_each_source_gave_is_counted_beside_the_balance(tmp_path: Path, examples: list[Example]) -> None:
    run_dir = RunDir(tmp_path / "runs/dpo")
    pairs = write(run_dir, examples)
    found = read_json(run_dir.balance_path)
    assert found["sources"] == {"cues": {"num_pairs": 8, "left_out": pairs.left_out}}
    assert found["writer"] == {"cues": {"chosen": 8, "rejected": sum(len(one.preference.rejected) for one in pairs.records)}}
    assert found["label"].keys() == {"joy", "anger"} and found["warnings"] == []


def test_another_run_reads_the_same_pairs(tmp_path: Path, examples: list[Example]) -> None:
    first, second = RunDir(tmp_path / "runs/one"), RunDir(tmp_path / "runs/two")
    pairs = write(first, examples)
    again = read_sources([DataSource(path=str(first.pairs_path))])[0]
    write(second, again, recorded_pairs)
    read, num_records = read_pairs(second)
    assert num_records == 8
    settings = MediaSettings(min_pixels=64, max_pixels=4096)
    for one, other in zip(pairs.records, read, strict=True):
        preference = other.record.preference
        assert (other.record.id, preference.chosen, preference.rejected) == (one.id, one.preference.chosen, one.preference.rejected)
        digests = [medium.digest for medium in Example(one, first.pairs_path).media(settings)]
        assert [medium.digest for medium in other.media(settings)] == digests


def test_a_source_that_gives_nothing_stops_the_run(tmp_path: Path, examples: list[Example]) -> None:
    run_dir = RunDir(tmp_path / "runs/dpo")
    with pytest.raises(UserError, match=r"runs/dpo: pairs.sources: cues gives no pair: no preference \(8\)"):
        write(run_dir, examples, recorded_pairs)
    assert not run_dir.pairs_path.exists()


def test_a_folder_that_cannot_hold_links(tmp_path: Path, examples: list[Example]) -> None:
    (tmp_path / "media").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot link to .*where links can be made"):
        linked_records(examples, tmp_path)
