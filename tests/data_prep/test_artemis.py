"""ArtEmis: votes of rows that repeat, ties, `something else`, accents in both Unicode forms, paintings in two styles."""

import unicodedata

CSV = '''art_style,painting,emotion,utterance,repetition
Impressionism,anna-example_the-quay-1890,contentment,"The soft light feels like a slow morning",3
Cubism,john-example_red-table,something else,"I wonder who
left the table",2
Impressionism,anna-example_the-quay-1890,Awe,"It is ""vast""",3
Impressionism,anna-example_the-quay-1890,contentment,,3
Cubism,john-example_red-table,fear,"It is too dark",2
Cubism,rené-example_café-1910,amusement,"The cat laughs",1
Cubism,rené-example_café-1910,boredom,"Nothing",1
'''
TREE = {
    "artemis_dataset_release_v0.csv": unicodedata.normalize("NFC", CSV),
    "Impressionism/anna-example_the-quay-1890.jpg": b"picture", "Cubism/john-example_red-table.jpg": b"picture",
    unicodedata.normalize("NFD", "Cubism/rené-example_café-1910.jpg"): b"picture",
}  # fmt: skip


def test_votes_become_a_distribution_and_a_tie_has_no_label(convert) -> None:
    converted = convert("artemis", TREE, "--max-bad-share", "0.5")
    quay, table, _ = converted.records.values()
    assert (quay.id, quay.group) == ("Impressionism/anna-example_the-quay-1890", "anna-example_the-quay-1890")
    assert quay.target.distribution == {"contentment": 2, "awe": 1} and quay.target.label == "contentment"
    assert table.target.distribution == {"something else": 1, "fear": 1} and table.target.label is None
    assert quay.attributes == {"style": "Impressionism", "repetition": 3} and quay.split == "all"
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [("artemis_dataset_release_v0.csv:9", "label is not of artemis_9")]
    assert (converted.account["rows"], converted.account["rows_kept"]) == (4, 3)


def test_accents_are_found_in_the_other_unicode_form(convert) -> None:
    cat = convert("artemis", TREE, "--max-bad-share", "0.5").records[unicodedata.normalize("NFC", "Cubism/rené-example_café-1910")]
    assert unicodedata.normalize("NFC", cat.media.images[0]) == unicodedata.normalize("NFC", "media/Cubism/rené-example_café-1910.jpg")
    assert cat.target.distribution == {"amusement": 1}


def test_a_record_an_utterance_has_its_words_as_reasoning(convert) -> None:
    converted = convert("artemis", TREE, "--per", "utterance", "--max-bad-share", "0.5")
    texts = {record.id: (record.target.label, record.target.reasoning) for record in converted.records.values()}
    assert texts["Cubism/john-example_red-table/4"] == ("something else", "I wonder who\nleft the table")
    assert texts["Impressionism/anna-example_the-quay-1890/5"] == ("awe", 'It is "vast"')
    assert [fault["reason"] for fault in converted.faults] == ["utterance is missing", "label is not of artemis_9"]
    assert len({record.group for record in converted.records.values()}) == 3


def test_the_authors_own_splits_are_kept(convert) -> None:
    csv = "art_style,painting,emotion,utterance,repetition,split\nA,x,awe,Big,1,train\nB,x,awe,Big,1,test\nA,../y,awe,Big,1,test\n"
    converted = convert("artemis", {"artemis_preprocessed.csv": csv, "wikiart/A/x.jpg": b"p", "wikiart/B/x.jpg": b"p"}, "--max-bad-share", "0.5")
    assert [(record.split, record.group) for record in converted.records.values()] == [("train", "x"), ("test", "x")]
    assert [fault["reason"] for fault in converted.faults] == ["painting leaves the folder"]
