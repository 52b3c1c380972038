"""EmoBench-M: ids that start at 0 in every file, a label space a file, RAVDSS, the folder of SIMS, two labels in one, older names."""

import json


def item(identifier: str, video: str, answer: str, question: str = "<video>\nThe person in video says: Well. Determine the emotion.") -> dict:
    return {"id": identifier, "video": video, "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]}


FILES = {
    "FGMSA": [item("0", "videos/FGMSA/a.mp4", "strong negative")],
    "MC-EIU": [item("0", "videos/MC-EIU/a.mp4", "{'emotion label': 'happy', 'intent label': 'neutral'}"),
               item("1", "videos/MC-EIU/a.mp4", "neutral_questioning"), item("2", "videos/MC-EIU/a.mp4", "happy")],
    "MELD": [item("0", "videos/MELD/dia0_utt0.mp4", " Joy\n"), item("1", "videos/MELD/dia9_utt9.mp4", "joy")],
    "RAVDSS_song": [item("0", "videos/RAVDSS/02-02-01.mp4", "calm"), item("1", "videos/RAVDSS/02-02-01.mp4", "disgust")],
    "RAVDSS_speech": [item("0", "videos\\RAVDSS\\01-01-07.mp4", "disgust")],
    "SIMS": [item("0", "videos/SIMS/video_0001/0001.mp4", "negative")],
    "funny": [item("0", "videos/UR-FUNNY/1.mp4", "True")],
    "smile": [item("0", "videos/SMILE/1_10004.mp4", "The audience laughed because the cat won.", "<video>\nWhy did they laugh?")],
}  # fmt: skip
CLIPS = ("FGMSA/videos/FGMSA/a", "MC-EIU/videos/MC-EIU/a", "MELD/videos/MELD/dia0_utt0", "RAVDSS_song/videos/RAVDSS/02-02-01",
         "RAVDSS_speech/videos/RAVDSS/01-01-07", "SIMS_test/videos/SIMS/video_0001/0001", "funny/videos/UR-FUNNY/1",
         "smile/videos/SMILE/1_10004")  # fmt: skip
TREE = {f"benchmark_json/{name}.json": json.dumps(items) for name, items in FILES.items()} | {f"dataset/{clip}.mp4": b"clip" for clip in CLIPS}


def test_the_file_decides_on_the_label_space(convert) -> None:
    converted = convert("emobench_m", TREE, "--max-bad-share", "0.5")
    records = converted.records
    found = {name: (record.target.label, record.target.label_space) for name, record in records.items()}
    assert found == {
        "FGMSA_0": ("strong negative", "fgmsa_5"), "MC-EIU_0": ("happy", "mc_eiu_7"), "MC-EIU_1": ("neutral", "mc_eiu_7"),
        "MELD_0": ("joy", "meld_7"), "RAVDSS_song_0": ("calm", "ravdess_song_6"), "RAVDSS_speech_0": ("disgust", "ravdess_8"),
        "SIMS_0": ("negative", "sentiment_3"), "funny_0": ("true", "true_false_2"), "smile_0": (None, "open"),
    }  # fmt: skip
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("benchmark_json/MC-EIU.json: item 3", "answer is no emotion and intent"), ("benchmark_json/MELD.json: item 2", "video is not there"),
        ("benchmark_json/RAVDSS_song.json: item 2", "label is not of ravdess_song_6"),
    ]  # fmt: skip
    assert "benchmark_json/MOSI.json" in converted.account["not_there"]


def test_clips_questions_and_two_labels_at_once(convert) -> None:
    records = convert("emobench_m", TREE, "--max-bad-share", "0.5").records
    assert records["SIMS_0"].media.video == "media/dataset/SIMS_test/videos/SIMS/video_0001/0001.mp4"
    assert records["RAVDSS_speech_0"].media.video == "media/dataset/RAVDSS_speech/videos/RAVDSS/01-01-07.mp4"
    assert records["MELD_0"].question == "The person in video says: Well. Determine the emotion." and records["MELD_0"].media.audio_in_video
    assert records["MELD_0"].dataset == "emobench_m/MELD" and records["MELD_0"].split == "test"
    assert records["MC-EIU_0"].attributes == {"scenario": "MC-EIU", "intent": "neutral", "joint": "happy_neutral"}
    assert records["MC-EIU_1"].attributes["joint"] == "neutral_questioning"
    assert records["smile_0"].target.reasoning == "The audience laughed because the cat won."


def test_names_of_older_releases_are_found(convert) -> None:
    names = {"MELD_test_instruction": FILES["MELD"][:1], "MC-EIU-test_500": FILES["MC-EIU"][1:2], "RAVDSS_song_500": FILES["RAVDSS_song"][:1]}
    tree = {f"benchmark_json/{name}.json": json.dumps(items) for name, items in names.items()}
    clips = ("MELD_test_instruction/videos/MELD/dia0_utt0", "MC-EIU-test_500/videos/MC-EIU/a", "RAVDSS_song_500/videos/RAVDSS/02-02-01")
    converted = convert("emobench_m", tree | {f"dataset_500/{clip}.mp4": b"clip" for clip in clips})
    assert list(converted.records) == ["MC-EIU_1", "MELD_0", "RAVDSS_song_0"] and converted.code == 0


def test_a_folder_with_none_of_the_files_is_refused(convert) -> None:
    converted = convert("emobench_m", {"dataset/MELD/videos/MELD/dia0_utt0.mp4": b"clip"})
    assert converted.code == 2 and "none of benchmark_json/FGMSA.json" in converted.printed
