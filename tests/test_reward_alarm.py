"""Streams of rewards by hand, and when the alarm speaks."""

import pytest

from emoreason.reward_alarm import RewardAlarm

SPREAD = [0.0, 1.0, 0.0, 1.0]
"""Totals of two groups of two, in which nothing is wrong."""


def told(alarm: RewardAlarm, stream: list[list[float | None]], first_step: int = 1) -> list[tuple[int, str]]:
    """(step, message) of a stream of one reward's values, its totals in order."""
    found = []
    for step, values in enumerate(stream, start=first_step):
        found += [(step, message) for message in alarm.observe(step, {"a_reward": values}, SPREAD, 2)]
    return found


def spread_told(alarm: RewardAlarm, stream: list[list[float | None]], group_size: int = 2) -> list[tuple[int, str]]:
    """(step, message) of a stream of totals, no reward beside them."""
    found = []
    for step, totals in enumerate(stream, start=1):
        found += [(step, message) for message in alarm.observe(step, {}, totals, group_size)]
    return found


# One reward, one value.


def test_a_constant_is_told_after_num_steps_with_its_value_and_the_steps() -> None:
    assert told(RewardAlarm(3), [[0.25] * 4] * 2) == []
    (found,) = told(RewardAlarm(3), [[0.25] * 4] * 3, first_step=7)
    assert found == (9, "reward a_reward: 0.25 for every completion in steps 7 to 9; it carries no signal: look at completions.jsonl, "
                        "at its settings and at what the records hold")


@pytest.mark.parametrize(
    ("before", "value", "words"),
    [
        ([], 1.0, "1 for every completion in steps 1 to 3; it is already perfect"),
        ([[0.0, 1.0]], 1.0, "1 for every completion in steps 2 to 4; it is already perfect"),
        ([[0.5, 1.0]], 1.0, "1 for every completion in steps 2 to 4; it carries no signal"),  # no 0/1 reward
        ([], 0.0, "0 for every completion in steps 1 to 3; it carries no signal"),
        ([], -1.0, "-1 for every completion in steps 1 to 3; it carries no signal"),
        ([], 2.0, "2 for every completion in steps 1 to 3; it carries no signal"),
    ],
)
def test_only_a_constant_one_of_a_zero_one_reward_is_perfect(before: list[list[float]], value: float, words: str) -> None:
    ((step, message),) = told(RewardAlarm(3), [*before, *[[value, value]] * 3])
    assert step == len(before) + 3
    assert message.startswith(f"reward a_reward: {words}")


def test_a_reward_that_differs_once_starts_the_count_again() -> None:
    stream = [[0.0, 0.0], [0.0, 0.0], [0.0, 0.5], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert [step for step, _ in told(RewardAlarm(3), stream)] == [6]  # steps 4, 5, 6


def test_another_value_from_step_to_step_is_no_constant() -> None:
    assert told(RewardAlarm(2), [[0.0], [1.0], [0.0], [1.0]]) == []


def test_a_message_comes_once_until_the_reward_changes_and_stands_still_again() -> None:
    alarm = RewardAlarm(2)
    assert [step for step, _ in told(alarm, [[0.0, 0.0]] * 10)] == [2]
    assert told(alarm, [[0.0, 1.0]], first_step=11) == []
    assert [step for step, _ in told(alarm, [[0.0, 0.0]] * 5, first_step=12)] == [13]
    # From one constant straight to another is a change, too.
    ((step, message),) = told(alarm, [[1.0, 1.0]] * 5, first_step=17)
    assert step == 18 and "already perfect" in message


def test_records_that_a_reward_does_not_apply_to_are_not_its_values() -> None:
    assert [step for step, _ in told(RewardAlarm(2), [[None, 0.0], [0.0, None]])] == [2]
    assert told(RewardAlarm(2), [[None, 0.0, 0.5], [0.0, 0.5, None]]) == []


def test_a_step_without_a_value_neither_breaks_nor_lengthens_a_constant() -> None:
    stream = [[0.0, None], [None, None], [0.0, None], [None, None], [0.0, 0.0]]
    ((step, message),) = told(RewardAlarm(3), stream)
    assert step == 5 and "0 for every completion in steps 1 to 5" in message  # steps 1, 3, 5


def test_one_step_can_be_enough() -> None:
    assert [step for step, _ in told(RewardAlarm(1), [[0.0, 0.0]])] == [1]


# A reward that never applies.


def test_a_reward_that_never_applied_is_told_once() -> None:
    ((step, message),) = told(RewardAlarm(3), [[None, None]] * 8)
    assert step == 3
    assert message == (
        "reward a_reward: applied to no completion in steps 1 to 3; give records that have what it reads, or take it out"
    )


def test_one_value_ends_never() -> None:
    stream = [[None], [None], [0.5], [None], [None], [None], [0.7], [None], [None], [None]]
    assert [step for step, _ in told(RewardAlarm(3), stream)] == [6, 10]


# Totals.


def test_equal_totals_in_every_group_are_no_gradient() -> None:
    # The groups differ from one another, which TRL's std over the batch would call spread.
    ((step, message),) = spread_told(RewardAlarm(3), [[0.0, 0.0, 1.0, 1.0]] * 5)
    assert step == 3
    assert message == (
        "total reward: equal within every group in steps 1 to 3, so there is no gradient; "
        "raise temperature or num_generations, or give records that are sometimes answered right"
    )


def test_one_group_with_a_spread_is_a_gradient() -> None:
    assert spread_told(RewardAlarm(1), [[0.0, 0.0, 1.0, 0.9]]) == []
    assert spread_told(RewardAlarm(2), [[0.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 1.0]]) == []


def test_the_order_of_groups_is_by_prompt() -> None:
    totals = [0.0, 1.0, 0.0, 1.0]
    assert spread_told(RewardAlarm(1), [totals], group_size=2) == []
    assert spread_told(RewardAlarm(1), [totals], group_size=1) != []


def test_rounding_is_no_spread_and_a_small_difference_is() -> None:
    assert spread_told(RewardAlarm(1), [[0.1 + 0.2, 0.3]]) != []  # 0.30000000000000004
    assert spread_told(RewardAlarm(1), [[0.3, 0.300001]]) == []


def test_masked_completions_are_left_out_of_their_group() -> None:
    assert spread_told(RewardAlarm(1), [[0.0, None, 0.0, 0.0]]) != []
    assert spread_told(RewardAlarm(1), [[0.0, None, 0.0, 1.0]]) == []
    assert spread_told(RewardAlarm(1), [[None, None]]) != []


def test_no_gradient_is_told_again_after_there_was_one() -> None:
    stream = [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]
    assert [step for step, _ in spread_told(RewardAlarm(2), stream)] == [2, 6]


# All of it.


def test_rewards_are_watched_apart() -> None:
    alarm = RewardAlarm(2)
    rewards = {"format_reward": [1.0, 1.0], "label_reward": [0.0, 1.0], "judge_reward": [None, None], "length_reward": [-0.5, -0.5]}
    assert alarm.observe(1, rewards, [0.5, 1.5], 2) == []
    messages = alarm.observe(2, rewards, [0.5, 1.5], 2)
    assert [message.partition(" in steps")[0] for message in messages] == [
        "reward format_reward: 1 for every completion",
        "reward judge_reward: applied to no completion",
        "reward length_reward: -0.5 for every completion",
    ]


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(ValueError, match="num_steps is 0; accepted: 1 or more"):
        RewardAlarm(0)
    with pytest.raises(ValueError, match="3 totals are no whole groups of 2"):
        RewardAlarm(1).observe(1, {}, [0.0, 1.0, 2.0], 2)
    with pytest.raises(ValueError, match="2 totals are no whole groups of 0"):
        RewardAlarm(1).observe(1, {}, [0.0, 1.0], 0)
