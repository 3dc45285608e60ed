"""Facts about plans: durations, automatic sizes, what is refused."""

from __future__ import annotations

import pytest

from likewise.engine.plan import Plan, seconds
from likewise.errors import DataError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90),
        ("5m", 300),
        ("1h", 3600),
        ("1.5h", 5400),
        ("1h 30m", 5400),
        ("2m30", 150),
        ("45", 45),
        (" 2M ", 120),
    ],
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "wrong", ["", "soon", "5x", "m", "-5m", "0s", "1m1h", 0, -3, float("nan"), float("inf"), None, "٣x"]
)
def test_what_is_no_duration(wrong: object) -> None:
    with pytest.raises(DataError, match="duration"):
        seconds(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("records", "batch_size", "validate_every"),
    [(1, 1, 25), (50, 50, 25), (1_000, 64, 25), (30_000, 512, 59), (10**7, 1024, 250)],
)
def test_sizes_follow_from_the_number_of_records(records: int, batch_size: int, validate_every: int) -> None:
    plan = Plan().settled(records, 10)
    assert (plan.batch_size, plan.validate_every) == (batch_size, validate_every)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_steps": 0},
        {"max_steps": 1.5},
        {"batch_size": -1},
        {"max_time": 0.0},
        {"cooldown": 1.0},
        {"precision": "half"},
    ],
)
def test_plans_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError, match=next(iter(wrong))):
        Plan(**wrong)  # type: ignore[arg-type]
