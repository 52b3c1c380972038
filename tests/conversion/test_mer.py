"""What the MER sets share: which language a subtitle is in, and what is no valence."""

from argparse import Namespace
from pathlib import Path

import pytest

from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.mer import read_subtitles, six_way
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError

CARD = Card(**dict.fromkeys(Card.__dataclass_fields__, "mer"))


def source(folder: Path, table: bytes, language: str = "english") -> Source:
    (folder / "subtitle_chieng.csv").write_bytes(table)
    return Source(folder, CARD, options=Namespace(language=language))


def test_the_other_language_stands_in_for_an_empty_cell(tmp_path: Path) -> None:
    table = "name,chinese,english\nsample_00000001,好,nan\nsample_00000002,坏,Bad\nsample_00000003,,\n".encode()
    assert read_subtitles(source(tmp_path, table), "subtitle_chieng.csv") == {"sample_00000001": "好", "sample_00000002": "Bad"}
    assert read_subtitles(source(tmp_path, table, "chinese"), "subtitle_chieng.csv") == {"sample_00000001": "好", "sample_00000002": "坏"}


def test_a_table_that_a_chinese_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    table = "name,chinese\nsample_00000001,我不知道\n".encode("gb18030")
    assert read_subtitles(source(tmp_path, table), "subtitle_chieng.csv") == {"sample_00000001": "我不知道"}


def test_a_second_subtitle_of_a_clip_is_reported(tmp_path: Path) -> None:
    reported: list[str] = []
    mine = source(tmp_path, b"name,english\na,Yes\na,No\na,Yes\n")
    mine.report = lambda where, fault: reported.append(f"{where}: {fault.reason}")
    assert read_subtitles(mine, "subtitle_chieng.csv") == {"a": "Yes"} and reported == ["subtitle_chieng.csv:3: a clip has two subtitles"]


def test_no_table_is_no_subtitle_and_a_table_without_a_language_is_refused(tmp_path: Path) -> None:
    mine = source(tmp_path, b"name,speech\na,Yes\n")
    assert read_subtitles(mine, "transcription.csv") == {} and mine.not_there == ["transcription.csv"]
    with pytest.raises(UserError, match="no column of a language; it has name, speech"):
        read_subtitles(mine, "subtitle_chieng.csv")


@pytest.mark.parametrize("valence", [-10, "-10", "-10.0", "", float("nan"), None])
def test_what_is_no_valence_is_left_out(valence: object) -> None:
    assert six_way(Row({"discrete": "worried", "valence": valence}, "a.csv", 2)) == {"label": "worried", "label_space": "mer_6"}


def test_a_valence_beyond_the_scale_is_refused() -> None:
    assert six_way(Row({"discrete": "happy", "valence": "-5"}, "a.csv", 2))["vad"]["valence"] == -5.0
    with pytest.raises(BadRow, match="from -5 to 5"):
        six_way(Row({"discrete": "happy", "valence": "5.5"}, "a.csv", 2))
