"""Sets that are known to overlap, and ids that name a clip of a set."""

import csv
from importlib.resources import files

import pytest

from emoreason.leaks.overlaps import clip_ids, known_overlaps


@pytest.mark.parametrize(
    ("train", "test", "shared"),
    [
        ("mer2023", "emer", ["mer2023"]),
        ("mer2025", "mer2023/test1", ["mer2023"]),
        ("mer2025/track2", "mer2025/ov_merd_plus", ["mer2025"]),
        ("merr", "ca_mer", ["mer2023"]),
        ("emorealm", "dfew", ["dfew"]),
        ("ch_sims_v2", "ch_sims", ["ch_sims"]),
        ("mvei_plus/train", "mvei", ["insets"]),
        ("mvei", "insets", ["insets"]),  # not EmoSet beside it, which both have through INSETS
        ("mvei_plus/step1_sft_C_v1", "mvei", ["insets"]),
        ("vecbench/FI-8", "mvei", ["emoset"]),
        ("vec_cot", "vecbench/EmoSet-8", ["vecbench"]),
        ("saber", "emobench_m/MELD", ["ch_sims_v2", "mc_eiu", "meld", "mer2023", "ravdess"]),
        ("r1_omni", "emer", ["emer"]),
        ("emo_cfg/MAFW", "mafw", ["mafw"]),
        ("fea20k", "fer_plus", ["fer2013"]),
        ("raf_au", "fea20k", ["raf_au"]),
        ("emer", "emer", []),
        ("mer2025/track1", "mer2025/track2", []),  # one set; ids tell
        ("crema_d", "emoset", []),
        ("my_clips", "meld", []),
    ],
)
def test_pairs(train: str, test: str, shared: list[str]) -> None:
    found = known_overlaps([train], [test])
    assert [one.shared for one in found] == shared
    assert [one.shared for one in known_overlaps([test], [train])] == shared
    assert all(one.what and one.do and one.reference for one in found)


def test_every_row_is_whole_and_no_set_is_made_of_itself() -> None:
    lines = (files("emoreason") / "tables" / "known_overlaps.csv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert len(rows) > 20
    for row in rows:
        assert None not in row and all(row.values()), row
        assert row["dataset"] not in row["source"].split(";")


@pytest.mark.parametrize(
    ("dataset", "texts", "ids"),
    [
        ("emer", ["sample_00000021"], {"mer2023:sample_00000021"}),
        ("saber", ["x/SampleNew3_00000004.json"], {"mer2023:samplenew3_00000004"}),
        ("mine", ["resample_00000021", "sample_000000210", "sample_21"], set()),
        ("insets", ["1", "image/awe/awe_00012.jpg"], {"emoset:awe_00012"}),
        ("mine", ["drawe_00012"], set()),
        ("emobench_m", ["RAVDSS/03-01-06-01-02-01-12.wav"], {"ravdess:01-06-01-02-01-12"}),
        ("ravdess", ["Actor_12/02-01-06-01-02-01-12.mp4"], {"ravdess:01-06-01-02-01-12"}),
        ("crema_d", ["AudioWAV/1001_DFA_ANG_XX.wav"], {"crema_d:1001_dfa_ang_xx"}),
        ("iemocap", ["Ses05M_script01_1b_M012"], {"iemocap:ses05m_script01_1b_m012"}),
        ("emorealm", ["q_0001", "part_2/2210.mp4"], {"dfew:2210"}),
        ("dfew", ["02210", "data/02210/02210_00012.jpg"], {"dfew:2210"}),
        ("r1_omni", ["DFEW/videos/1.mp4"], {"dfew:1"}),
        ("emo_cfg/MAFW", ["a1", "videos/MAFW/00011.mp4"], {"mafw:11"}),
        ("mafw", ["00011.mp4"], {"mafw:11"}),
        ("mine", ["00011.mp4", "clips/12.mp4"], set()),
    ],
)
def test_ids_that_name_a_clip(dataset: str, texts: list[str], ids: set[str]) -> None:
    assert clip_ids(dataset, texts) == ids
