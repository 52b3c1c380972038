"""What must not stand in a recipe, a log or a run's folder: keys, tokens and passwords, known by name or by shape.

A recipe is copied into run.json, shown in logs, sent to trackers and released with the checkpoint, so a secret in it is a secret
given away. What finds one says where it stands and what it looks like, and never shows it.
"""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "(hidden)"
ADVICE = ("a recipe is copied into run.json and shown by trackers; leave it out and use `hf auth login`, `wandb login`, "
          "or an environment variable of your site")

_SHAPES = {
    "a Hugging Face token": r"\b(?:hf|api_org)_[A-Za-z0-9]{20,}",
    "a W&B key": r"\bwandb_v\d_\w{16,}|(?<![\w/@.:-])[0-9a-f]{40}(?![\w/.-])",
    "an API key": r"(?<![A-Za-z0-9])sk-(?=[\w-]*\d)[\w-]*\w{20}[\w-]*|\bAIza[\w-]{35}",
    "an AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of a code host": r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,})",
    "a chat token": r"\bxox[abprs]-[\w-]{10,}",
    "a bearer token": r"\b[Bb]earer\s+(?=\S*\d)[\w.~+/=-]{12,}",
    "a signed token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----)?",
    "a URL with a password": r"(?<=://)[^\s/:@'\"]*:[^\s/@'\"]+(?=@)",
}
_BY_SHAPE = {what: re.compile(pattern, re.DOTALL) for what, pattern in _SHAPES.items()}

_OPTION = re.compile(r"(--?[A-Za-z][\w.-]*)(?:=|$)")

_SECRET_WORDS = {"password", "passwd", "passphrase", "secret", "secrets", "credential", "credentials", "authorization", "apikey", "accesskey",
                 "authtoken", "accesstoken"}  # fmt: skip
_SECRET_KEYS = {"api", "access", "secret", "private", "auth", "account", "signing", "encryption", "subscription", "license", "wandb"}
# Words before `token` that make it one of a vocabulary: `image_token`, `pad_token`.
_VOCABULARY = {"image", "video", "audio", "vision", "pad", "eos", "bos", "sep", "cls", "mask", "unk", "start", "end", "stop", "special", "think",
               "answer", "ignore", "begin", "per", "next", "last", "first"}  # fmt: skip
# Hexadecimal of 40 digits under these names is a commit.
_COMMITS = {"revision", "commit", "sha", "hash", "digest", "checksum"}


def is_secret_name(name: str) -> bool:
    """Whether a key, an option or an environment variable of this name holds a secret: `api_key`, `--api-key`, `HF_TOKEN`; not `max_tokens`."""
    words = _words(name)
    if not words:
        return False
    *before, last = words
    if last == "key":
        return bool(before) and before[-1] in _SECRET_KEYS
    if last == "token":
        return not before or before[-1] not in _VOCABULARY
    return last in _SECRET_WORDS


def secret_shape(text: str, name: str = "") -> str | None:
    """What the text holds by its looks, e.g. `a Hugging Face token`, or None. `name` is the key that it stands under."""
    for what, pattern in _BY_SHAPE.items():
        if what == "a W&B key" and _COMMITS & set(_words(name)):
            continue
        if pattern.search(text):
            return what
    return None


def hide_secrets(values: Any, location: tuple = ()) -> tuple[Any, list[tuple[tuple, str]]]:
    """(the values with every secret replaced by `(hidden)`, (location, what was found) of each), through mappings and lists.

    Below the key `tests` names are the user's own, of test sets, so only shapes count there.
    """
    if isinstance(values, Mapping):
        hidden, found = {}, []
        for key, value in values.items():
            shown = HIDDEN if isinstance(key, str) and secret_shape(key) else key
            hidden[shown], more = _hide_one(key, value, (*location, shown))
            found += ([((*location, shown), "the key itself is a secret")] if shown != key else []) + more
        return hidden, found
    if isinstance(values, list | tuple):
        return _hide_list(list(values), location)
    return _hide_one("", values, location)


def redacted(environment: Mapping[str, Any]) -> dict[str, Any]:
    """An environment, or any settings, with what is secret by name or by shape replaced by `(hidden)`: to be shown or written."""
    return hide_secrets(environment)[0]


def redacted_arguments(arguments: list[str]) -> list[str]:
    """The words of a command with its secrets replaced: after `--api-key`, in `--token=...`, or by their looks."""
    return [str(word) for word in _hide_list(list(arguments), ())[0]]


def redacted_text(text: str) -> str:
    """A message or a log's line with everything that looks like a secret replaced by `(hidden)`."""
    for pattern in _BY_SHAPE.values():
        text = pattern.sub(HIDDEN, text)
    return text


def _hide_one(name: Any, value: Any, location: tuple) -> tuple[Any, list[tuple[tuple, str]]]:
    if isinstance(value, Mapping | list | tuple):
        return hide_secrets(value, location)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # A number of tokens is a count, and a password may be all digits.
    could_be = (isinstance(value, str) and value) or (is_number and _words(str(name))[-1:] != ["token"])
    if isinstance(name, str) and name and could_be and location[:1] != ("tests",) and is_secret_name(name):
        return HIDDEN, [(location, "a secret by its name")]
    if isinstance(value, str) and (what := secret_shape(value, str(name))):
        return HIDDEN, [(location, f"looks like {what}")]
    return value, []


def _hide_list(values: list, location: tuple) -> tuple[list, list[tuple[tuple, str]]]:
    """Of a list that may be the words of a command; an option says what the next word is."""
    name = next((part for part in reversed(location) if isinstance(part, str)), "")
    hidden, found, option, before = [], [], None, ""
    for index, value in enumerate(values):
        place = (*location, index)
        match = _OPTION.match(value) if isinstance(value, str) else None
        if match and is_secret_name(match[1]):
            key, equals, given = value.partition("=")
            option = None if equals else key
            hidden.append(f"{key}={HIDDEN}" if given else value)
            found += [(place, f"{key} gives a secret")] if given else []
            continue
        if option is not None and not isinstance(value, Mapping | list) and not str(value).startswith("--"):
            hidden.append(HIDDEN)
            found.append((place, f"{option} gives a secret"))
        else:
            # `--revision` says of the next word, or of what follows its `=`, that it is a commit.
            shown, more = _hide_one(match[1] if match else before or name, value, place)
            hidden.append(shown)
            found += more
        option, before = None, match[1] if match and value == match[1] else ""
    return hidden, found


def _words(name: str) -> list[str]:
    """`apiKey`, `API_KEY` and `--api-key` as [api, key]."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return [word for word in re.split(r"[^A-Za-z0-9]+", parted.lower()) if word]
