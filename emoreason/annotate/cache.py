"""Answers that are there already, in a file that is only appended to, so that a run that was killed goes on without asking twice."""

from dataclasses import asdict, dataclass
from pathlib import Path

from emoreason.annotate.answers import cleaned
from emoreason.faults import UserError
from emoreason.files import append_jsonl, whole_rows


@dataclass(frozen=True)
class Reply:
    """What the server wrote for one request."""

    text: str
    finish_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


class AnswerCache:
    """Replies by the key of their request; the last row of a key counts."""

    def __init__(self, path: Path):
        """The cache with what the file holds; a row that was cut off is left out, and asked again.

        Raises:
            UserError: the file cannot be read, or is no cache.
        """
        self.path = path
        self._replies: dict[str, Reply] = {}
        try:
            content = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
        rows = whole_rows(content)
        for row in rows:
            try:
                key = row.pop("key")
                self._replies[key] = Reply(**row)
            except (KeyError, TypeError) as error:
                raise UserError(f"{path}: a row is no saved answer ({error}); give another --cache") from error
        if content.strip() and not rows and b"\n" in content.strip():
            raise UserError(f"{path}: holds no saved answers; give another --cache")
        self._is_cut = bool(content) and not content.endswith(b"\n")

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, key: str) -> Reply | None:
        return self._replies.get(key)

    def put(self, key: str, reply: Reply) -> Reply:
        """Keep the reply, on disk first; as it will be read again, so that a run and its repetition see the same.

        Raises:
            UserError: the disk is full or the folder is not writable.
        """
        row = cleaned(asdict(reply))
        try:
            if self._is_cut:  # else the new row would be the end of the one that was cut
                with self.path.open("ab") as file:
                    file.write(b"\n")
                self._is_cut = False
            append_jsonl(self.path, {"key": key, **row})
        except OSError as error:
            self._is_cut = True
            raise UserError(f"{self.path}: cannot be written: {error.strerror or error}; free some space, then run the same command again") from error
        self._replies[key] = Reply(**row)
        return self._replies[key]
