"""Successive halving: who is stopped, who is not, and that a comparison killed in its rounds is the same in the end."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from forked import Forks

import likewise as lw
from likewise.board.halving import Bar, Hearing, bar, hopeless, suspects
from likewise.metrics.interval import Interval


def heard(value: float, *, error: float = 0.05, left: float = 1.0, limit: float = 10.0, over: bool = False) -> Hearing:
    """A hearing with a two-sample score of `value`, of which other faults leave a part."""
    fidelity = Interval(value, value - error, value + error)
    score = Interval(*(left * end for end in (value, value - error, value + error)))
    return Hearing(score, fidelity, limit, 100, limit, limit, over)


# ------------------------------------------------------------------------------------------------------------- the rule


def test_the_bar_is_what_the_last_of_the_better_half_surely_reached():
    found = {"a": heard(0.9), "b": heard(0.6, error=0.2), "c": heard(0.5), "d": heard(0.1), "e": heard(0.2)}
    assert bar(found) == Bar(pytest.approx(0.4), 10.0)
    assert suspects(found) == ["d", "e"]


def test_the_better_half_is_never_doubted_nor_who_comes_near_it_nor_who_has_ended():
    found = {"a": heard(0.6), "b": heard(0.6), "c": heard(0.54, error=0.02), "d": heard(0.1, over=True)}
    assert suspects(found) == []
    assert suspects({**found, "c": heard(0.52, error=0.02), "d": heard(0.1)}) == ["c", "d"]


def test_a_fault_that_may_be_mended_is_no_reason_to_stop():
    found = {"a": heard(0.6), "b": heard(0.6), "c": heard(0.6, left=0.0), "d": heard(0.1)}
    assert suspects(found) == ["d"]


def test_of_three_or_without_scores_nobody_is_doubted():
    few = {"a": heard(0.9), "b": heard(0.9), "d": heard(0.1)}
    assert suspects(few) == []
    none = Hearing(None, None, 10.0, 100, 10.0, 10.0, False)
    assert suspects({**few, "c": none}) == []


@pytest.mark.parametrize(
    ("first", "second", "most", "stopped"),
    [
        (0.10, 0.10, 80.0, True),  # no better with twice the budget
        (0.10, 0.13, 80.0, True),  # 0.18 at most, and six times 0.03 to come: 0.36
        (0.10, 0.16, 80.0, False),  # 0.21 at most, and six times 0.06 to come: 0.57
        (0.10, 0.16, 40.0, True),  # with two times: 0.33
        (0.10, 0.30, 20.0, True),  # with nothing to come: 0.35
        (0.30, 0.10, 80.0, True),  # worse is no gain, and no loss
        (0.10, 0.48, 20.0, False),  # within the reach of its interval
    ],
)
def test_only_who_stays_under_the_bar_at_the_speed_it_has_is_stopped(first, second, most, stopped):
    assert hopeless(heard(first), heard(second, limit=20.0), Bar(0.5, 10.0), most) is stopped


@pytest.mark.parametrize(
    ("before", "after", "stopped"),
    [
        (6.0, 5.9, True),
        (6.0, 5.8, False),
        (0.1, 0.09, True),
        (0.1, 0.07, False),
        (-50.0, -50.5, True),
        (6.0, 7.0, True),
    ],
)
def test_who_still_learns_is_not_stopped_whatever_the_score(before, after, stopped):
    first, second = replace(heard(0.1), figure=before), replace(heard(0.1, limit=20.0), figure=after)
    assert hopeless(first, second, Bar(0.5, 10.0), 80.0) is stopped
    assert hopeless(replace(first, figure=None), second, Bar(0.5, 10.0), 80.0)


def test_hearings_survive_json():
    for one in (heard(0.3), Hearing(None, None, 10.0, 100, 10.0, 10.0, True)):
        assert Hearing.from_json(json.loads(json.dumps(one.to_json()))) == one


# ------------------------------------------------------------------------------------------------------- a comparison

COMPARED = """
import os, signal, sys, threading, time
from dataclasses import replace
from pathlib import Path
import likewise as lw
from likewise.board import references, trial
from likewise.board.comparison import run
from likewise.board.rounds import PARTS
from likewise.board.watching import Watcher
from likewise.metrics import two_sample

[mode] = sys.argv[1:]
two_sample.ROUNDS = 20
evaluate, references.REPEATS = trial.evaluate, 0
trial.evaluate = lambda *given, **named: evaluate(*given, **{**named, "parts": PARTS})
plan = lw.Autoregressive._plan
lw.Autoregressive._plan = lambda model: replace(plan(model), checkpoint_steps=20)

class Killer(Watcher):
    def heard(self, title, found):
        if mode == "between":
            os.kill(os.getpid(), signal.SIGKILL)

    def stage(self, title, stage, budget=None):
        if mode == "in the last round" and title == "c" and stage == "fitting":
            steps = len(Path("kept/checkpoints/c/training.jsonl").read_text())
            threading.Thread(target=kill, args=(steps,), daemon=True).start()

    def stopped(self, title, why):
        if mode == "when one is stopped":
            os.kill(os.getpid(), signal.SIGKILL)

def kill(before):
    log = Path("kept/checkpoints/c/training.jsonl")
    while "validation" not in log.read_text()[before:]:
        time.sleep(0.005)
    os.kill(os.getpid(), signal.SIGKILL)

def kill_in_the_first_fit():
    while not list(Path("kept").glob("checkpoints/*/checkpoint-*.safetensors")):
        time.sleep(0.005)
    os.kill(os.getpid(), signal.SIGKILL)

if mode == "in the first fit":
    threading.Thread(target=kill_in_the_first_fit, daemon=True).start()
if mode == "again":
    fit = lw.Autoregressive.fit
    lw.Autoregressive.fit = lambda model, *data: print("fit", model.width, model.max_steps) or fit(model, *data)

def made(width, learning_rate=0.02):
    return lw.Autoregressive(width=width, hidden=16, layers=1, learning_rate=learning_rate, patience=99,
                             random_state=0)

frame = lw.datasets.toy("mixed").sample(600, random_state=0)
found = run(
    frame.assign(price=3 * frame["visits"]), holdout=0.4, max_rows=240, max_time=None, max_steps=234, target=None,
    families={"a": made(16), "b": made(24), "c": made(32), "dull": made(17, 1e-9)},
    samples=None, random_state=0, folder="whole" if mode == "whole" else "kept", overwrite=False, device="cpu",
    domain=None, watcher=Killer(),
)
found.leaderboard.to_json("board.json", orient="records")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("halving")


def in_a_process(forks: Forks, place: Path, mode: str, status: int) -> list[dict[str, object]]:
    """The board, without what depends on the clock."""
    run = forks.run(COMPARED, mode, folder=place)
    assert run.returncode == status, run.stderr
    (place / "told.txt").write_text(run.stdout)
    rows = json.loads((place / "board.json").read_text()) if status == 0 else []
    return [{name: cell for name, cell in row.items() if "seconds" not in name} for row in rows]


@pytest.fixture(scope="module")
def whole(forks, place) -> list[dict[str, object]]:
    return in_a_process(forks, place, "whole", 0)


@pytest.fixture(scope="module")
def rows(place, whole) -> dict[str, dict[str, object]]:
    return {row["model"]: row for row in json.loads((place / "whole" / "comparison.json").read_text())["rows"]}


def test_who_learns_nothing_is_stopped_and_has_a_row(rows, place):
    row = rows["dull"]
    assert (row["status"], row["rank"]) == ("ok", 4)
    assert row["stopped"].startswith("stopped after 78 steps, when it looked 0.")
    assert row["verdict"].endswith(row["stopped"])
    assert [one["limit"] for one in row["hearings"]] == [39, 78]
    model = lw.load(place / row["path"])
    assert model.training_record_["steps"] == 78
    assert model.sample(2, random_state=0).shape == (2, 4)


def test_what_they_leave_goes_to_the_others(rows, place):
    for name in "abc":
        row = rows[name]
        assert row["stopped"] is None
        assert row["hearings"][0]["limit"] == 39
        assert lw.load(place / row["path"]).training_record_["steps"] == (4 * 234 - 78) / 3
    assert list((place / "whole" / "checkpoints").iterdir()) == []


def test_a_comparison_killed_in_its_rounds_has_the_same_board(forks, place, whole):
    for mode in ("in the first fit", "between", "when one is stopped", "in the last round"):
        in_a_process(forks, place, mode, -signal.SIGKILL)
    assert in_a_process(forks, place, "again", 0) == whole
    assert (place / "told.txt").read_text().splitlines() == ["fit 32 286"]


def test_a_comparison_has_one_budget():
    with pytest.raises(lw.DataError, match="max_time or max_steps"):
        lw.compare("wine", max_time=5, max_steps=5)
