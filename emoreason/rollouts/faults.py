"""What can go wrong between a run and the engine that samples for it."""

from collections.abc import Iterable

from emoreason.faults import UserError


class EngineError(UserError):
    """An engine did not start, refused, or did not answer in time; the message says what was asked, what came back, what to do."""

    def __init__(self, faults: str | Iterable[str], status: int | None = None):
        super().__init__(faults)
        self.status = status
        """The HTTP status of the answer; None where no answer came, or where no server was asked."""


class EngineLostError(EngineError):
    """The engine as a whole is gone: it will not answer other requests either."""
