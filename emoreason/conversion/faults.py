"""Why a row gives no record: it was meant to be left out, or something is wrong with it."""

from emoreason.faults import UserError


class LeftOut(Exception):
    """The row is sound, but the data set or the user's options leave such rows out; `reason` is what the account counts it under."""

    def __init__(self, reason: str):
        self.reason = reason
        super().__init__(reason)


class BadRow(UserError):
    """The row is wrong: `reason`, a few words that the account counts it under, and what exactly was found."""

    def __init__(self, reason: str, found: str):
        self.reason = reason
        super().__init__(found)
