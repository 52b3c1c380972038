"""Chats as trainers write them: turns of LLaVA, ms-swift and Qwen, the pictures they name, options, and answers with tags."""

import re
from typing import Any, NamedTuple

from emoreason.completions import SECTIONS, AnswerKind, Completion, Template, normalise_word, parse_completion
from emoreason.conversion import cells
from emoreason.conversion.faults import BadRow
from emoreason.conversion.tables import Row

_PLACEHOLDER = re.compile(r"<(?:image|video|audio)>\s*")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://|[A-Za-z]:(?=/)", re.ASCII)
_OPTION = re.compile(r"\(([A-Z])\)\s*")
_ASKING, _ANSWERING = ("user", "human"), ("assistant", "gpt")


class Conversation(NamedTuple):
    """The last question of a chat and what was answered."""

    question: str
    """Without the placeholders of media; empty where there is only a picture."""
    answer: str | None
    images: list[str]
    """Paths as the data set writes them, in their order."""


def read_conversation(row: Row) -> Conversation:
    """What `messages` or `conversations` of a row hold, as role and content or as from and value, in texts or in parts.

    Pictures are those that the parts name, else those of `images`, `image` or `image_path`.

    Raises:
        BadRow: there are no turns, or none that asks.
    """
    turns = row.get("messages") or row.get("conversations")
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise BadRow("no turns", "no list of turns in messages or conversations")
    said: dict[str, str] = {}
    images: list[str] = []
    for turn in turns:
        text, pictures = _content(turn.get("content", turn.get("value")))
        said[str(turn.get("role") or turn.get("from") or "")] = text
        images += pictures
    question = next((said[role] for role in _ASKING if role in said), None)
    if question is None:
        raise BadRow("nobody asks", f"turns of {', '.join(map(repr, said))}; accepted: {', '.join(_ASKING)}")
    answer = next((said[role] for role in _ANSWERING if said.get(role)), None)
    return Conversation(_PLACEHOLDER.sub("", question).strip(), answer, images or named_images(row))


def named_images(row: Row) -> list[str]:
    """The paths of `images`, `image` or `image_path`, each one path or a list of them."""
    for name in ("images", "image", "image_path"):
        if not cells.is_absent(row.get(name)):
            given = row[name] if isinstance(row[name], list) else [row[name]]
            return [cells.required_text(path.get("path") if isinstance(path, dict) else path, name) for path in given]
    return []


def only_one(images: list[str]) -> str:
    """The path of the one picture that there should be."""
    if len(images) != 1:
        raise BadRow("not one picture", f"{len(images)} pictures; accepted: one")
    return images[0]


def places_of(path: str) -> list[str]:
    """Where below the media folder a path of the authors' machine may lie: all of it, then without its first folders; the last one stays.

    >>> places_of("/data/VECBench/FI/awe_1.jpg"), places_of("mvei-data://images/1.jpg")
    (['data/VECBench/FI/awe_1.jpg', 'VECBench/FI/awe_1.jpg', 'FI/awe_1.jpg'], ['images/1.jpg'])
    """
    parts = [part for part in _SCHEME.sub("", path.replace("\\", "/"), count=1).split("/") if part not in ("", ".")]
    while parts and parts[0] == "..":
        parts.pop(0)
    return ["/".join(parts[start:]) for start in range(max(1, len(parts) - 1))]


def read_answer(text: str, kind: AnswerKind) -> Completion:
    """An answer with whichever of the tags stand in it: the sections of EmoCaliber or free reasoning, the answer, a confidence; or none of them.

    Raises:
        BadRow: the tags do not hold what they should.
    """
    if "<answer>" not in text.lower():
        return Completion(answers=[normalise_word(text)])
    sections = SECTIONS["emocaliber"] if "<analysis>" in text else ()
    think = "sections" if sections else "free" if "<think>" in text else "none"
    found = parse_completion(text, Template(think=think, answer=kind, confidence="<confidence>" in text, sections=sections))
    if found.problems:
        raise BadRow("an answer breaks its template", f"{'; '.join(found.problems)} ({text[:60]!r})")
    return found


def split_options(question: str) -> tuple[str, list[str]]:
    """A question without the options that it ends with, and these without their letters, up to the end of the last one's line.

    >>> split_options("Which emotion? (A) anger (B) joy")
    ('Which emotion?', ['anger', 'joy'])
    """
    first, *rest = _OPTION.split(question)
    letters, texts = rest[::2], [text.strip().strip(",;").strip() for text in rest[1::2]]
    if len(letters) < 2 or letters != [chr(ord("A") + place) for place in range(len(letters))]:
        return question, []
    return first.strip(), [*texts[:-1], texts[-1].split("\n")[0].strip()]


def chosen_options(answer: str, options: list[str]) -> list[str]:
    """The options that an answer names: by letters (`B`, `(B) joy`, `B. joy`, `ABK`), or by the whole text of one.

    Raises:
        BadRow: it names none, or a letter that no option has.
    """
    letters = _OPTION.findall(answer) or re.findall(r"^([A-Z])[.:)]\s", answer) or list(re.sub(r"[\s,.]", "", answer))
    places = [ord(letter) - ord("A") for letter in dict.fromkeys(letters)]
    if places and all(0 <= place < len(options) for place in places):
        return [options[place] for place in places]
    if same := [option for option in options if option.casefold() == answer.casefold().strip(" .")]:
        return same[:1]
    raise BadRow("answer is no option", f"answer {answer[:60]!r} with {len(options)} options")


def _content(content: Any) -> tuple[str, list[str]]:
    """The text of a turn, and the pictures that its parts name."""
    if not isinstance(content, list):
        return cells.text(content) or "", []
    parts = [part for part in content if isinstance(part, dict)]
    pictures = [part.get("image") or part.get("image_url") for part in parts]
    urls = [picture.get("url") if isinstance(picture, dict) else picture for picture in pictures]
    return "\n".join(found for part in parts if (found := cells.text(part.get("text")))), [url for url in urls if isinstance(url, str)]
