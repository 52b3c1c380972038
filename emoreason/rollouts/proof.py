"""Whether an engine has what the trainer sent: by name and digest, and by what it computes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from emoreason.rollouts import Engine, MakePrompt, Receipt
from emoreason.rollouts.faults import EngineError
from emoreason.rollouts.weights import digest

JUMP = 5.0
"""How many times the difference of the first comparison a later one may be, before it counts as a jump."""
FLOOR = {torch.float32: 1e-3, torch.bfloat16: 0.02, torch.float16: 0.01}
"""Mean differences, in nat, below which no jump is called: what two implementations of one model differ by in that type."""


class Sent:
    """Passes weights on and remembers their digests."""

    def __init__(self, weights: Iterator[tuple[str, torch.Tensor]]):
        self._weights, self.digests = weights, {}

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, tensor in self._weights:
            self.digests[name] = digest(tensor)
            yield name, tensor


def check_receipts(sent: Mapping[str, str], version: int, receipts: Sequence[Receipt]) -> None:
    """Refuse anything but a receipt from every rank for every tensor, of this version, with the digest that was sent.

    Raises:
        EngineError: no receipt, an older version, tensors that are missing, unasked for or different, parameters that stayed as they were.
    """
    problems = [] if receipts else ["no rank has confirmed anything"]
    for rank, receipt in enumerate(receipts):
        if receipt.version != version:
            problems.append(f"rank {rank} confirms version {receipt.version}, sent was {version}")
        for what, names in (
            ("never got", sent.keys() - receipt.digests.keys()),
            ("got what was not sent:", receipt.digests.keys() - sent.keys()),
            ("got other values of", {name for name in sent.keys() & receipt.digests.keys() if sent[name] != receipt.digests[name]}),
            ("loaded nothing into", set(receipt.not_loaded)),
        ):
            if names:
                shown = sorted(names)
                problems.append(f"rank {rank} {what} {', '.join(shown[:3])}{f' and {len(shown) - 3} more' if len(shown) > 3 else ''}")
    if problems:
        raise EngineError(f"sync {version}: the engine does not have the trainer's weights: {'; '.join(problems)}. Every rollout from here on would "
                          "come from another policy; resume from the last checkpoint, and if it comes back report it with this message")


@dataclass
class Canary:
    """Fixed prompts with media and fixed completions, scored by engine and trainer after every sync.

    Digests show that weights arrived, this shows that they are computed with: it sees what no digest can, as weights that were dropped after
    they were read, an adapter that is counted twice, or features that an engine has kept from before.
    """

    prompts: Sequence[MakePrompt]
    completions: Sequence[Sequence[int]]
    max_difference: float
    """Nat a token, on average over all tokens; see `recipe.Rollouts`."""
    dtype: torch.dtype
    first: float | None = field(default=None, init=False)

    def difference(self, engine: Engine, trainer: Engine) -> float:
        """Mean absolute difference of the log-probabilities, nat a token."""
        found, expected = (side.log_probs(self.prompts, self.completions) for side in (engine, trainer))
        pairs = [(one, other) for row, same in zip(found, expected, strict=True) for one, other in zip(row, same, strict=True)]
        return sum(abs(one - other) for one, other in pairs) / len(pairs)

    @property
    def bound(self) -> float:
        """What the next difference may be."""
        jump = max(FLOOR.get(self.dtype, 0.02), JUMP * self.first) if self.first is not None else self.max_difference
        return min(self.max_difference, jump)

    def check(self, engine: Engine, trainer: Engine, version: int) -> float:
        """The difference after sync `version`.

        Raises:
            EngineError: it is not a number, or beyond the bound; with both.
        """
        found, bound = self.difference(engine, trainer), self.bound
        if not found <= bound:
            first = "not taken yet" if self.first is None else f"{self.first:.4g}"
            raise EngineError(
                f"sync {version}: the canary stops the run: the engine's log-probabilities of {len(self.prompts)} fixed prompts differ from the "
                f"trainer's by {found:.4g} nat a token, the bound is {bound:.4g} (the first difference was {first}, rollouts.max_difference is "
                f"{self.max_difference:g}). The engine answers with other weights than those that are trained, or reads other media"
            )
        if self.first is None:
            self.first = found
        return found

    def check_sensitivity(self, engine: Engine, trainer: Engine, parameters: Mapping[str, torch.nn.Parameter]) -> dict[str, float]:
        """The negative control: the difference with each parameter's sign turned in the trainer, and turned back; the canary must see it.

        Turning a sign is undone to the last bit, and a shard can do it alone (ZeRO-3).

        Raises:
            EngineError: a parameter whose change the canary does not see, by name.
        """
        found = {}
        for name, parameter in parameters.items():
            held = getattr(parameter, "ds_tensor", parameter).data
            held.neg_()
            try:
                found[name] = self.difference(engine, trainer)
            finally:
                held.neg_()
        blind = [f"{name} ({difference:.4g})" for name, difference in found.items() if not difference > self.bound]
        if blind:
            raise EngineError(f"the canary is blind: with the sign of {', '.join(blind)} turned, its difference stays within {self.bound:.4g} nat a "
                              "token; the fixed prompts do not use these weights, or the model ignores its input")
        return found
