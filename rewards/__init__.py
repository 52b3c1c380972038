"""Rewards: one small pure function a file, installed as `emoreason.rewards`.

    f(completions, <record columns it needs>, *, <settings>=<default>, **kwargs) -> list[float | None]

One value a completion; None where the reward does not apply to the record. Required parameters are the columns it needs
(see `emoreason.records.COLUMNS`, and `template`, the recipe's `emoreason.completions.Template`, one a completion);
keyword-only parameters with a default are the settings that a recipe may give. The signature is TRL's, so each works with
plain `trl` too. A completion is a string, or TRL's list of one message.
"""
