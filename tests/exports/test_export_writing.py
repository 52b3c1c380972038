"""Every record is accounted for, faults come in one report, files are whole or absent, and one record at a time is in memory."""

import json
import tracemalloc
from pathlib import Path
from typing import get_args

import pytest

from emoreason.commands import export as command
from emoreason.completions import Template
from emoreason.exports.files import MediaMode, read_rows
from emoreason.exports.samples import Kind, Style
from emoreason.exports.writing import FORMATS, Export, export
from emoreason.faults import UserError
from emoreason.files import read_json, sha256, write_json, write_jsonl
from emoreason.recipe_files import load_recipe
from emoreason.records import read_records, stream_records

ASKED = "Which emotion is shown?\nReason about the evidence in <think></think>, then name the one emotion in <answer></answer>."


def record(name: str, **more: object) -> dict:
    target = {"label": "joy", "reasoning": "lips up"}
    return {"id": name, "dataset": "d", "split": "train", "group": "g", "licence": "l", "source": "s", "target": target, **more}


def write(folder: Path, rows: list[dict], *media: str) -> Path:
    for name in media:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    write_jsonl(folder / "records.jsonl", rows)
    return folder / "records.jsonl"


def test_counts_add_up_in_the_report_and_beside_the_file(tmp_path: Path) -> None:
    rows = [record("a"), record("b", target={}), record("c", target={"label": "joy", "reasoning": "</think>"}), record("d", text="<video>"),
            record("e", media={"audio": "s.wav"}), record("f", target={"label": "joy"})]  # fmt: skip
    path = write(tmp_path, rows, "s.wav")
    report = export(Export(path, tmp_path / "out.parquet", "verl", "sft"))
    assert (report.records, report.exported, report.rows) == (6, 1, 1)
    assert report.left_out.counts == {
        "its target breaks the template: <think> is empty": 2, "its target breaks the template: <think> stands 2 times": 1,
        "a text says <video>, which verl takes for a medium": 1, "sound: verl decodes none": 1,
    }  # fmt: skip
    said = read_json(tmp_path / "out.parquet.export.json")
    assert (said["records_file"], said["records_sha256"], said["exported"]) == ("records.jsonl", sha256(path), 1)
    assert said["left_out"][0] == {"reason": "its target breaks the template: <think> is empty", "count": 2, "examples": ["b", "f"]}
    assert str(tmp_path) not in json.dumps(said)


def test_alike_reasons_are_counted_together(tmp_path: Path) -> None:
    path = write(tmp_path, [record(label, target={"label": label, "reasoning": "x"}) for label in ("joy, fear", "awe / joy")])
    report = export(Export(path, tmp_path / "out.parquet", "trl", "sft"))
    assert report.left_out.counts == {"its target breaks the template: <answer> names 2 labels where one is asked": 2}
    verdict = Export(path, tmp_path / "out.parquet", "trl", "sft", Style(Template("free", "verdict")))
    assert export(verdict).left_out.counts == {"its target breaks the template: <answer> holds no verdict": 2}


def test_the_table_shows_ids_that_look_like_markup_or_commands(tmp_path: Path, emoreason) -> None:
    path = write(tmp_path, [record("a"), record("[/b]", text="<image>"), record("\x1b[2J", text="<image>")])
    code, out, _ = emoreason("export", path, tmp_path / "out.parquet", "--to", "verl")
    assert code == 0
    assert "[/b], '\\x1b[2J'" in out


def test_nothing_is_written_where_nothing_can_be_exported(tmp_path: Path) -> None:
    path = write(tmp_path, [record("a")])
    (tmp_path / "out.parquet").write_text("before")
    report = export(Export(path, tmp_path / "out.parquet", "trl", "dpo"))
    assert (report.rows, report.left_out.counts) == (0, {"no preference": 1})
    assert (tmp_path / "out.parquet").read_text() == "before"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out.parquet", "records.jsonl"]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_what_is_interrupted_leaves_the_file_as_it_was(tmp_path: Path, suffix: str) -> None:
    path, out = write(tmp_path, [record("a"), record("b")]), tmp_path / f"out{suffix}"
    out.write_text("before")

    def interrupt(what: str, done: int, total: int) -> None:
        if what == "writing" and done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(Export(path, out, "ms_swift", "sft"), interrupt)
    assert out.read_text() == "before"
    assert sorted(one.name for one in tmp_path.iterdir()) == [out.name, "records.jsonl"]


def test_all_faults_come_in_one_report_and_nothing_is_written(tmp_path: Path) -> None:
    path = write(tmp_path, [record("a", media={"images": ["absent.png"]}), record("a"), record("b", split=3)])
    path.write_text(path.read_text() + "{\n[]\n" + json.dumps(record("c")) + "\n")
    with pytest.raises(UserError) as caught:
        export(Export(path, tmp_path / "out.parquet", "trl", "sft"))
    assert caught.value.faults == [
        f"{path}: record 'a': {tmp_path}/absent.png: no such file",
        f"{path}:2: record 'a' stands on line 1 already; ids are unique",
        f"{path}:3: record 'b': split: Input should be a valid string (given: 3)",
        f"{path}:4: not JSON: Expecting property name enclosed in double quotes at column 2",
        f"{path}:5: a list where a JSON object is expected",
    ]
    assert [one.name for one in tmp_path.iterdir()] == ["records.jsonl"]


@pytest.mark.parametrize(("content", "fault"), [
    (b"", "holds no records"), (b"\n \n", "holds no records"), (b"\xff\xfe{", "not UTF-8 text: "),
])  # fmt: skip
def test_a_file_without_records_is_a_fault(tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "records.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=fault):
        export(Export(tmp_path / "records.jsonl", tmp_path / "out.parquet", "trl", "sft"))


@pytest.mark.parametrize(("framework", "kind", "media", "out", "fault"), [
    ("verl", "dpo", "relative", "out.parquet", "--kind dpo: verl has no such data; accepted: grpo, sft"),
    ("llama_factory", "sft", "embed", "out.jsonl", "--media embed: LLaMA-Factory reads files; accepted: relative, absolute, copy"),
    ("verl", "sft", "relative", "out.jsonl", "out.jsonl: accepted: a name that ends in .parquet"),
    ("ms_swift", "sft", "relative", "records.jsonl", "records.jsonl: is the file of records itself; give another name"),
    ("ms_swift", "sft", "relative", "folder.jsonl", "folder.jsonl: is a folder; give the name of a file"),
])  # fmt: skip
def test_what_cannot_be_is_refused_at_once(tmp_path: Path, framework: str, kind: str, media: str, out: str, fault: str) -> None:
    path = write(tmp_path, [record("a")])
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(UserError) as caught:
        export(Export(path, tmp_path / out, framework, kind, media=media))
    assert caught.value.faults[0].removeprefix(f"{tmp_path}/") == fault


def test_an_entry_of_the_name_for_something_else_stays(tmp_path: Path) -> None:
    path = write(tmp_path, [record("a")])
    write_json(tmp_path / "dataset_info.json", {"out": {"file_name": "else.json"}})
    with pytest.raises(UserError, match="has an entry 'out' for something else"):
        export(Export(path, tmp_path / "out.jsonl", "llama_factory", "sft"))
    assert not (tmp_path / "out.jsonl").exists()


def test_json_lines_whose_first_ten_megabytes_lack_a_column_are_refused(tmp_path: Path) -> None:
    """The JSON loader of the library datasets takes such a column for null, and fails at its first value."""
    long = record("long", text="x" * (11 << 20))
    path = write(tmp_path, [long, record("p", media={"images": ["a.png"]})], "a.png")
    with pytest.raises(UserError, match=r"out.jsonl: images: empty in the first 10 MB, .* export to out.parquet"):
        export(Export(path, tmp_path / "out.jsonl", "ms_swift", "sft"))
    assert not (tmp_path / "out.jsonl").exists()
    assert export(Export(path, tmp_path / "out.parquet", "ms_swift", "sft")).rows == 2


def test_one_record_at_a_time_is_in_memory(tmp_path: Path) -> None:
    rows = [record(str(number), text=f"{number} " * 4000) for number in range(600)]
    path = write(tmp_path, rows)
    size = path.stat().st_size
    tracemalloc.start()
    report = export(Export(path, tmp_path / "out.jsonl", "ms_swift", "sft"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.rows == 600
    assert size > 8e6
    assert peak < size / 4


def test_records_are_read_as_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n\n".join(json.dumps(record(name, text="a\u2028b")) for name in "ab").encode())
    faults: list[str] = []
    assert list(stream_records(path, faults)) == read_records(path)
    assert faults == []


def test_paths_are_seen_from_the_file_or_absolute_or_copies(tmp_path: Path) -> None:
    path = write(tmp_path / "data", [record("a", media={"images": ["x/a b.png", "http.png"]})], "x/a b.png", "http.png")

    def images(out: Path, media: str) -> list[str]:
        export(Export(path, out, "ms_swift", "sft", media=media))
        return next(iter(read_rows(out)))["images"]

    assert images(tmp_path / "out" / "r.jsonl", "relative") == ["../data/x/a b.png", "../data/http.png"]
    assert images(tmp_path / "data" / "r.jsonl", "relative") == ["x/a b.png", "./http.png"], "what begins with http is an address to ms-swift"
    assert images(tmp_path / "out" / "a.jsonl", "absolute") == [f"{tmp_path}/data/x/a b.png", f"{tmp_path}/data/http.png"]
    for _ in range(2):
        assert images(tmp_path / "out" / "c.jsonl", "copy") == ["c_media/x/a b.png", "c_media/http.png"]
    assert (tmp_path / "out" / "c_media" / "x" / "a b.png").read_bytes() == b"x/a b.png"
    (tmp_path / "data" / "x" / "a b.png").write_bytes(b"changed")
    images(tmp_path / "out" / "c.jsonl", "copy")
    assert (tmp_path / "out" / "c_media" / "x" / "a b.png").read_bytes() == b"changed"


def test_a_style_is_that_of_the_last_phase(tiny_dir: Path) -> None:
    style = Style.of(load_recipe(tiny_dir / "stage1_sft.yaml"))
    assert (style.template.answer, style.think_from, style.label_space) == ("list", "reasoning", "shaver_6_disgust_neutral")
    assert style.prompt.question == "What does the face show?"
    grpo = Style.of(load_recipe(tiny_dir / "stage3_grpo.yaml"))
    assert grpo.template.confidence is load_recipe(tiny_dir / "stage3_grpo.yaml").template.confidence


def test_the_command_knows_what_there_is() -> None:
    assert tuple(FORMATS) == command.FRAMEWORKS
    assert get_args(Kind) == command.KINDS
    assert get_args(MediaMode) == command.MEDIA


def test_the_command_shows_counts_and_ends_with_1_without_rows(tmp_path: Path, emoreason) -> None:
    path = write(tmp_path, [record("a", preference={"chosen": "x", "rejected": "y"}), record("b")])
    code, out, _ = emoreason("export", path, tmp_path / "out.jsonl", "--to", "llama_factory", "--kind", "dpo")
    assert code == 0
    assert "left out: no preference" in out and "dataset: out, stage: dpo" in out
    code, out, _ = emoreason("export", path, tmp_path / "out.parquet", "--to", "trl", "--json")
    assert (code, json.loads(out)["exported"]) == (0, 2), "the kind is sft without a recipe"
    code, _, err = emoreason("export", write(tmp_path, [record("b")]), tmp_path / "none.jsonl", "--to", "ms_swift", "--kind", "dpo")
    assert (code, "no record can be exported" in err) == (1, True)
    code, _, err = emoreason("export", path, tmp_path / "none.jsonl", "--to", "swift")
    assert (code, err) == (2, "error: --to swift: accepted: ms_swift, llama_factory, verl, trl\n")


def test_a_recipe_gives_kind_prompt_and_template(tiny_dir: Path, tmp_path: Path, emoreason) -> None:
    path = tiny_dir / "data" / "train.jsonl"
    code, out, _ = emoreason("export", path, tmp_path / "out.parquet", "--to", "trl", "--recipe", tiny_dir / "stage3_grpo.yaml", "--json")
    assert code == 0, out
    rows = list(read_rows(tmp_path / "out.parquet"))
    assert len(rows) == json.loads(out)["rows"] == len(read_records(path))
    assert rows[0]["prompt"][0]["content"][-1]["text"].startswith("What does the face show?\n")
    assert rows[0]["solution"] == ", ".join(rows[0]["labels"])
    assert (tmp_path / rows[0]["images"][0]["path"]).is_file()
