"""What the user got wrong, all of it in one report.

Everything that reads what a person wrote (a recipe, a records file, an address) collects its faults and raises them
together, so that one run of `emoreason check` shows the whole list. The command line turns them into exit code 2.
"""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """One or more mistakes in what the user gave; the message says where, what was given, what is accepted."""

    def __init__(self, faults: str | Iterable[str]):
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))


def raise_faults(faults: list[str]) -> None:
    """Raise `UserError` with every fault, or return when there is none."""
    if faults:
        raise UserError(faults)


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest known word, or the list of known words when none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    shown = ", ".join(known[:20]) + (f", ... ({len(known)} in all)" if len(known) > 20 else "")
    return f"; accepted: {shown}" if known else ""
