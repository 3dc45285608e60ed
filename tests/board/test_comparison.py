"""`lw.compare`: contained failures, reference rows in their place, one seed, and going on where it was killed."""

import json
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import likewise as lw
from likewise.board.budget import Purse
from likewise.board.contestants import contestants
from likewise.board.division import divide
from likewise.board.folder import Folder, as_arrow
from likewise.domains.table import Table
from likewise.domains.table.sources import read
from likewise.estimators.bayesian_network import BayesianNetwork
from likewise.metrics import two_sample, utility

FIELDS = (
    "model", "family", "status", "reason", "density", "c2st_train", "c2st_train_low", "c2st_train_high", "c2st_heldout",
    "c2st_heldout_low", "c2st_heldout_high", "marginal_error", "pair_error", "alpha_precision", "beta_recall",
    "precision", "recall", "density_score", "coverage", "mmd", "utility", "utility_real", "closer_to_train",
    "exact_copies", "exact_copies_real", "log_likelihood", "log_likelihood_kind", "base_measure", "fit_seconds",
    "sample_seconds", "parameters", "path",
)  # fmt: skip


def records(size: int = 400, seed: int = 0) -> pd.DataFrame:
    """A category, an amount, a count, and a number that nearly follows from the count."""
    frame = lw.datasets.toy("mixed").sample(size, random_state=seed)
    return frame.assign(price=3 * frame["visits"] + np.random.default_rng(seed).normal(size=size).round(2))


class Broken:
    """A generator that cannot learn."""

    def fit(self, X):
        raise RuntimeError("no luck\ntoday")

    def sample(self, n):
        raise AssertionError


class Parrot:
    """A generator that repeats what it has seen, of another kind than ours."""

    def fit(self, X):
        self.seen = X
        return self

    def sample(self, n, random_state=None):
        return self.seen.sample(n, replace=n > len(self.seen), random_state=random_state)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("board") / "kept"


@pytest.fixture(scope="module")
def found(folder) -> lw.Comparison:
    families = {"network": BayesianNetwork(), "broken": Broken(), "parrot": Parrot()}
    return lw.compare(records(), families=families, holdout=0.25, folder=folder, max_rows=300, random_state=3)


def test_rows_have_every_field_and_are_json(found):
    for row in found.rows:
        assert set(FIELDS) <= set(row)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False)) == found.to_json()
    assert found.to_json()["seed"] == 3


def test_models_stand_by_rank_then_failures_then_references(found):
    assert [row["model"] for row in found.rows] == ["network", "parrot", "broken", "real", "independent", "copy"]
    assert [row["rank"] for row in found.rows] == [1, 2, None, None, None, None]
    assert [row["family"] for row in found.rows[-3:]] == ["reference"] * 3


def test_a_failure_is_contained_and_told(found):
    assert found.failures == {"broken": "RuntimeError: no luck today"}
    row = found.rows[2]
    assert (row["status"], row["reason"]) == ("failed", "RuntimeError: no luck today")
    assert "failed" in str(found)


def test_the_references_are_in_their_place(found):
    real, independent, copied = found.rows[-3:]
    assert real["score"] > 0.6
    assert independent["score"] < real["score"] - 0.3
    assert independent["pair_error"] > real["pair_error"]
    assert "not how they depend on each other" in independent["verdict"]
    assert copied["closer_to_train"] > 0.95
    assert copied["exact_copies"] == 1.0
    assert copied["score"] == 0.0
    assert copied["verdict"].startswith("a copy of the training data")


def test_a_parrot_is_called_a_copy_and_comes_last(found):
    row = found.rows[1]
    assert row["score"] == 0.0
    assert row["verdict"].startswith("a copy of the training data")
    assert (row["density"], row["log_likelihood"]) == ("none", None)
    assert row["reason"] == row["reasons"]["log_likelihood"] == "Parrot states no density"


def test_an_explicit_family_states_its_likelihood(found):
    row = found.rows[0]
    assert row["density"] == row["log_likelihood_kind"] == "exact"
    held_out = found.terms.division.held_out
    assert row["log_likelihood"] == pytest.approx(found.models["network"].score(held_out))
    assert row["parameters"] > 0


def test_every_missing_figure_has_a_reason(found):
    for row in found.rows:
        if row["status"] == "ok":
            empty = {name for name in FIELDS if row[name] is None and not name.endswith(("_low", "_high"))}
            assert empty - {"reason", "log_likelihood_kind", "base_measure"} <= set(row["reasons"]), row["model"]


def test_the_leaderboard_is_a_frame_that_marks_what_is_better_low(found):
    frame = found.leaderboard
    assert frame.index.tolist() == [row["model"] for row in found.rows]
    assert "marginal_error (lower)" in frame
    assert frame.loc["network", "c2st_heldout"] == found.rows[0]["c2st_heldout"]


def test_the_board_fits_80_columns(found):
    assert max(map(len, str(found).splitlines())) <= 80


def test_models_are_saved_where_the_rows_say(found, folder):
    path = Path(found.rows[0]["path"])
    assert path == folder / "models" / "network.safetensors"
    assert lw.load(path).sample(2).shape == (2, 4)
    assert pd.read_parquet(folder / "samples" / "network.parquet").shape == (300, 4)


def test_what_is_finished_is_not_done_again_and_the_board_is_the_same(found, folder, monkeypatch):
    monkeypatch.setattr(BayesianNetwork, "fit", lambda *_: pytest.fail("fitted again"))
    families = {"network": BayesianNetwork(), "broken": Broken(), "parrot": Parrot()}
    again = lw.compare(records(), families=families, holdout=0.25, folder=folder, max_rows=300, random_state=3)
    for one, other in zip(again.rows, found.rows, strict=True):
        if one["model"] != "broken":
            assert one == other
    assert set(again.models) == {"network"}


def test_another_comparison_in_the_folder_is_refused(found, folder):
    with pytest.raises(lw.DataError, match=r"another comparison .*seed was 3, now 4"):
        lw.compare(records(), holdout=0.25, folder=folder, max_rows=300, random_state=4)
    with pytest.raises(lw.DataError, match="data was"):
        lw.compare(records(seed=1), holdout=0.25, folder=folder, max_rows=300, random_state=3)


def test_other_settings_of_a_model_are_another_model(found, folder):
    from likewise.board.comparison import _finished

    changed = contestants(
        {"network": BayesianNetwork(max_bins=4)}, None, seed=3, device="auto", domain=found.terms.division.unfitted
    )
    stored = folder / "rows" / "network.json"
    kept = stored.read_bytes()
    model = (folder / "models" / "network.safetensors").read_bytes()
    assert _finished(changed[0], found.terms, Folder(folder)) is None
    assert not stored.exists()
    stored.write_bytes(kept)
    (folder / "models" / "network.safetensors").write_bytes(model)


def test_a_report_can_be_made(found, tmp_path):
    path = found.report(tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    assert "network" in text
    assert "lw.compare(" in text


KILLED = """
import os, signal
from likewise.board.comparison import run
from likewise.board.watching import Watcher
from likewise.metrics import two_sample, utility
import likewise as lw

two_sample.ROUNDS = utility.ROUNDS = 10

class Killer(Watcher):
    def done(self, row, again=False):
        if row["model"] == "bayesian_network":
            os.kill(os.getpid(), signal.SIGKILL)

run(lw.datasets.toy("mixed").sample(240, random_state=0), families=["bayesian_network", "autoregressive"],
    max_time=2, max_steps=None, holdout=0.3, target=None, samples=None, random_state=0,
    folder="kept", overwrite=False, max_rows=100, device="auto", domain=None, watcher=Killer())
"""


def test_a_killed_comparison_goes_on(forks, tmp_path, monkeypatch):
    run = forks.run(KILLED, folder=tmp_path)
    assert run.returncode == -signal.SIGKILL, run.stderr
    rows = tmp_path / "kept" / "rows"
    assert sorted(path.stem for path in rows.glob("*.json")) == ["bayesian_network", "copy", "independent", "real"]
    before = {path.name: path.read_bytes() for path in rows.glob("*.json")}
    monkeypatch.setattr(BayesianNetwork, "fit", lambda *_: pytest.fail("fitted again"))
    for measure in (two_sample, utility):
        monkeypatch.setattr(measure, "ROUNDS", 10)

    def again() -> lw.Comparison:
        return lw.compare(
            lw.datasets.toy("mixed").sample(240, random_state=0), max_time=2, holdout=0.3, max_rows=100,
            families=["bayesian_network", "autoregressive"], folder=tmp_path / "kept",
        )  # fmt: skip

    first = again()
    assert {name: (rows / name).read_bytes() for name in before} == before
    assert first.failures == {}
    assert sorted(first.models) == ["autoregressive", "bayesian_network"]
    assert again().rows == first.rows


KILLED_IN_A_FIT = """
import os, signal, sys, threading, time
from dataclasses import replace
from pathlib import Path
import likewise as lw
from likewise.engine.checkpoint import Checkpoints
from likewise.metrics import two_sample, utility

[mode] = sys.argv[1:]
two_sample.ROUNDS = utility.ROUNDS = 10
plan = lw.Autoregressive._plan
lw.Autoregressive._plan = lambda model: replace(plan(model), checkpoint_steps=5)

def kill():
    while not list(Path("kept").glob("checkpoints/*/checkpoint-*.safetensors")):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

def newest(checkpoints, find=Checkpoints.newest):
    found = find(checkpoints)
    assert found is not None, "begun anew"
    return found

if mode == "killed":
    threading.Thread(target=kill, daemon=True).start()
if mode == "again":
    Checkpoints.newest = newest
found = lw.compare(
    lw.datasets.toy("mixed").sample(240, random_state=0), holdout=0.3, max_rows=100,
    families={"network": lw.Autoregressive(width=16, hidden=16, max_steps=60, random_state=0)},
    folder=None if mode == "whole" else "kept",
)
found.leaderboard.to_json("board.json", orient="records")
"""


def test_a_comparison_killed_in_the_middle_of_a_fit_has_the_same_leaderboard(forks, tmp_path):
    def board(mode: str, status: int) -> list[dict[str, object]]:
        run = forks.run(KILLED_IN_A_FIT, mode, folder=tmp_path)
        assert run.returncode == status, run.stderr
        rows = json.loads((tmp_path / "board.json").read_text()) if status == 0 else []
        return [{name: cell for name, cell in row.items() if "seconds" not in name and name != "path"} for row in rows]

    board("killed", -signal.SIGKILL)
    assert not (tmp_path / "kept" / "rows" / "network.json").exists()
    assert board("again", 0) == board("whole", 0)


# -------------------------------------------------------------------------------------------------- parts of the board


def test_time_is_shared_equally_and_what_is_left_over_goes_to_the_rest():
    purse = Purse(90.0, "max_time", ["a", "b", "c"])
    assert purse.share("a") == 30.0
    purse.settle("a", 6.0)
    assert purse.share("b") == 42.0
    purse.settle("b", 42.0)
    assert purse.share("c") == 42.0
    assert purse.share("samples") is None
    assert Purse(None, "max_time", ["a"]).share("a") is None


def test_a_family_that_took_too_long_leaves_the_others_a_tenth_of_an_equal_share():
    purse = Purse(90.0, "max_time", ["a", "b", "c"])
    purse.settle("a", 300.0)
    assert purse.share("b") == pytest.approx(3.0)


def test_all_that_go_on_have_the_same_in_all_whatever_they_took_before():
    purse = Purse(90.0, "max_time", ["a", "b", "c"])
    for name, taken in (("a", 5.0), ("b", 10.0), ("c", 5.0)):
        purse.take(name, taken)
    purse.settle("c", 6.0)
    assert (purse.share("a"), purse.share("b")) == (37.0, 32.0)
    purse.settle("a", 5.0 + 37.0)
    assert purse.share("b") == 32.0


def test_families_that_no_budget_stops_come_first():
    found = contestants(None, {"mine": records(20)}, seed=0, device="cpu", domain=Table())
    names = [one.name for one in found]
    assert names[0] == "mine"
    assert names.index("bayesian_network") < names.index("autoregressive")
    assert all(one.estimator.random_state == 0 for one in found if one.ours)


def test_a_network_with_hidden_states_takes_part_beside_the_plain_one():
    found = {one.name: one for one in contestants(None, None, seed=0, device="cpu", domain=Table())}
    assert set(found) == {*(card.name for card in lw.families()), "hidden_tree"}
    plain, hidden = found["bayesian_network"].estimator, found["hidden_tree"].estimator
    assert (plain.structure, hidden.structure) == ("auto", "hidden_tree")
    assert found["hidden_tree"].family == "bayesian_network"
    (named,) = contestants({"mine": "hidden_tree"}, None, seed=0, device="cpu", domain=Table())
    assert (named.name, named.estimator.structure) == ("mine", "hidden_tree")


def test_hidden_states_are_learned_in_their_share_of_the_time(monkeypatch):
    from likewise.families.bayesian_network.hidden_tree import learning

    asked = []
    fit = learning.fit
    monkeypatch.setattr(learning, "fit", lambda *args: asked.append(args[3].seconds) or fit(*args))
    found = lw.compare(records(), families=["hidden_tree", "bayesian_network"], max_time=40, max_rows=200)
    assert not found.failures
    assert len(asked) == 1
    assert 15 < asked[0] <= 40


@pytest.mark.parametrize("name", ["real", "copy", "../up", "", "a/b"])
def test_names_that_cannot_be_used_are_refused(name):
    with pytest.raises(lw.DataError, match="cannot be called"):
        contestants({name: Parrot()}, None, seed=0, device="cpu", domain=Table())


def test_what_cannot_take_part_is_refused():
    with pytest.raises(lw.DataError, match="no family called 'flown'"):
        contestants(["flown"], None, seed=0, device="cpu", domain=Table())
    with pytest.raises(lw.DataError, match="fit and sample"):
        contestants([3], None, seed=0, device="cpu", domain=Table())
    with pytest.raises(lw.DataError, match="Two models"):
        contestants([Parrot(), Parrot()], None, seed=0, device="cpu", domain=Table())
    with pytest.raises(lw.DataError, match="Two models are called 'GAN'"):
        contestants({"GAN": Parrot(), "gan": "gan"}, None, seed=0, device="cpu", domain=Table())
    with pytest.raises(lw.DataError, match="nothing to compare"):
        contestants([], None, seed=0, device="cpu", domain=Table())


def test_records_are_divided_once_and_by_the_seed():
    frame = records(100)
    one, same, other = divide(frame, 0.2, 0), divide(frame, 0.2, 0), divide(frame, 0.2, 1)
    assert (len(one.training), len(one.held_out)) == (80, 20)
    assert one.digest == same.digest != other.digest
    assert [len(half) for half in one.halves] == [10, 10]


def test_held_out_records_may_be_given(tmp_path):
    records(60, seed=1).to_csv(tmp_path / "test.csv", index=False)
    records(100).to_csv(tmp_path / "train.csv", index=False)
    found = divide(str(tmp_path / "train.csv"), str(tmp_path / "test.csv"), 0)
    assert (len(found.training), len(found.held_out), found.name) == (100, 60, "train.csv")


@pytest.mark.parametrize(("size", "holdout"), [(20, 0.2), (100, 0.99), (100, 1.5), (100, 0.0)])
def test_too_few_records_on_either_side_are_refused(size, holdout):
    with pytest.raises(lw.DataError):
        divide(records(size), holdout, 0)


def test_records_survive_parquet(tmp_path):
    frame = pd.DataFrame(
        {
            "text": ["a", None, "b"] * 10,
            "number": [1.5, np.nan, 2.0] * 10,
            "whole": [1, 2, 3] * 10,
            "truth": [True, False, True] * 10,
            "day": pd.to_datetime(["2020-01-01", None, "2021-05-06"] * 10),
            "time": pd.to_timedelta([1, 2, None] * 10, unit="h"),
        }
    )
    import pyarrow.parquet

    pyarrow.parquet.write_table(as_arrow(read(frame)), tmp_path / "records.parquet")
    again = pd.read_parquet(tmp_path / "records.parquet")
    assert again["text"].tolist() == frame["text"].tolist()
    for name in ("number", "whole", "truth", "day", "time"):
        assert again[name].equals(frame[name].astype(again[name].dtype)), name


def test_files_of_which_nothing_is_known_are_not_touched(tmp_path):
    (tmp_path / "rows").mkdir()
    with pytest.raises(lw.DataError, match="no comparison that can be read"):
        Folder(tmp_path).claim({"seed": 0}, overwrite=True)
