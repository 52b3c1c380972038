"""CREMA-D: votes by modality, broken clips, pointers of Git LFS, a level cut to one letter."""

import pytest

VOTES = '"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"\n' + "".join(
    f'"{number}",{counts},"{name}",{total},0.5,"{vote}"\n'
    for number, counts, name, total, vote in [
        ("100002", "0,0,0,3,6,0", "1001_IEO_HAP_LO", 9, "N"), ("200002", "0,0,0,9,1,0", "1001_IEO_HAP_LO", 10, "H"),
        ("300002", "0,0,0,4,4,1", "1001_IEO_HAP_LO", 9, "H:N"), ("300003", "7,0,1,0,0,0", "1018_DFA_FEA_XX", 8, "A"),
        ("300004", "1,0,0,0,0,0", "1019_DFA_ANG_XX", 9, "A"), ("300005", "0,0,0,0,0,5", "1040_ITH_SAD_XX", 5, "S"),
    ]
)  # fmt: skip
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
NAMES = ("1001_IEO_HAP_LO", "1018_DFA_FEA_XX", "1091_TSI_DIS_XX", "1076_MTI_NEU_XX", "1064_IEO_DIS_MD", "1040_ITH_SAD_XX")
TREE = {
    **{f"VideoFlash/{name}.flv": b"clip" for name in NAMES}, **{f"AudioWAV/{name}.wav": b"voice" for name in NAMES[:-1]},
    "AudioWAV/1040_ITH_SAD_X.wav": b"voice", "AudioWAV/.DS_Store": b"no clip", "VideoFlash/._1001_IEO_HAP_LO.flv": b"no clip",
    "processedResults/tabulatedVotes.csv": VOTES,
}  # fmt: skip


def test_votes_on_both_are_the_distribution_and_those_on_one_that_of_the_modality(convert) -> None:
    converted = convert("crema_d", TREE)
    assert converted.code == 0 and converted.account["left_out"] == {"a broken clip": 2}
    record = converted.records["1001_IEO_HAP_LO"]
    zeros = dict.fromkeys(("anger", "disgust", "fear", "happy", "neutral", "sad"), 0.0)
    assert record.target.label == "happy" and record.target.distribution == zeros | {"happy": 4, "neutral": 4, "sad": 1}
    assert {name: alone.distribution for name, alone in record.target.unimodal.items()} == {
        "audio": zeros | {"happy": 3, "neutral": 6}, "video": zeros | {"happy": 9, "neutral": 1},
    }  # fmt: skip
    assert record.attributes == {"level": "low", "voted": "happy/neutral"} and record.text == "It's eleven o'clock."
    assert record.media.video == "media/VideoFlash/1001_IEO_HAP_LO.flv" and record.media.audio_in_video
    assert converted.records["1091_TSI_DIS_XX"].target.distribution is None


def test_eighteen_actors_are_a_fold_and_nineteen_the_last(convert) -> None:
    records = convert("crema_d", TREE | {"VideoFlash/1019_WSI_NEU_XX.flv": b"clip"}, "--fold", "5").records
    assert {name[:4]: (record.fold, record.split) for name, record in records.items()} == {
        "1001": (1, "train"), "1018": (1, "train"), "1019": (2, "train"), "1040": (3, "train"), "1091": (5, "test"),
    }  # fmt: skip


def test_what_was_voted_can_be_the_label_and_ties_are_left_out(convert) -> None:
    converted = convert("crema_d", TREE, "--label", "voted")
    record = converted.records["1018_DFA_FEA_XX"]
    assert record.target.label == "anger" and record.attributes == {"level": "unspecified", "intended": "fear"}
    assert converted.account["left_out"] == {"a broken clip": 2, "no majority of the votes": 2}


def test_the_voice_with_a_short_level_is_found(convert) -> None:
    record = convert("crema_d", TREE, "--clips", "audio").records["1040_ITH_SAD_XX"]
    assert record.media.audio == "media/AudioWAV/1040_ITH_SAD_X.wav" and record.media.video is None


@pytest.mark.parametrize(("name", "content", "reason"), [
    ("1002_DFA_ANG_XX", POINTER, "video is a Git LFS pointer"), ("1003_DFA_ANG_XX", b"", "video is empty"),
    ("1002_DFA_ANG", b"clip", "no name of CREMA-D"), ("1092_DFA_ANG_XX", b"clip", "no name of CREMA-D"),
    ("1002_DFA_JOY_XX", b"clip", "a value is not accepted"), ("1019_DFA_ANG_XX", b"clip", "votes do not add up"),
])  # fmt: skip
def test_what_is_no_clip_is_bad(convert, name: str, content: str | bytes, reason: str) -> None:
    assert convert("crema_d", TREE | {f"VideoFlash/{name}.flv": content}).account["bad"] == {reason: 1}
