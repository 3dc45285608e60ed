"""`compare` and `evaluate` in the terminal: the board, its files, exit codes, and one row by itself."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

import likewise as lw
from likewise.cli.live import Live

pytestmark = pytest.mark.usefixtures("few_trees")

QUICK = ["--families", "bayesian_network", "--rows", "100", "--seed", "2", "--holdout", "0.3"]


@pytest.fixture
def table(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    lw.datasets.toy("mixed").sample(240, random_state=0).to_csv(tmp_path / "shop.csv", index=False)
    return "shop.csv"


def test_a_comparison_ends_with_a_board_a_report_and_models(likewise, table, tmp_path):
    lw.datasets.toy("mixed").sample(100, random_state=9).to_csv("other.csv", index=False)
    samples = ["--samples", "other=other.csv"]
    result = likewise("compare", table, *QUICK, *samples, "--json", "board.json")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["#", "model", "score", "real?"]
    assert [line.split()[0] for line in lines[5:8]] == ["real", "independent", "copy"]
    assert "BayesianNetwork: " in result.stdout
    folder = tmp_path / "shop-comparison"
    assert (folder / "report.html").stat().st_size > 10_000
    assert "likewise compare shop.csv --families bayesian_network" in (folder / "report.html").read_text("utf-8")
    content = json.loads((tmp_path / "board.json").read_text())
    assert set(content) >= {"data", "seed", "rows"}
    assert content["seed"] == 2
    row, other = sorted(content["rows"][:2], key=lambda one: one["family"] == "external")
    assert (other["model"], other["status"], other["path"]) == ("other", "ok", None)
    assert other["score"] > 0.5
    assert row["path"] == "shop-comparison/models/bayesian_network.safetensors"

    # The same command finds everything done, and --json without a path is stdout.
    again = likewise("compare", table, *QUICK, *samples, "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["rows"] == content["rows"]
    assert "(as before)" in again.stderr

    # The row of the saved model, judged by itself on the same division, is the same.
    alone = likewise("evaluate", row["path"], table, "--holdout", "0.3", "--seed", "2", "--rows", "100", "--json")
    assert alone.exit_code == 0, alone.output
    one = json.loads(alone.stdout)
    for name in ("c2st_train", "c2st_heldout", "marginal_error", "closer_to_train", "score", "log_likelihood"):
        assert one[name] == pytest.approx(row[name]), name
    assert one["verdict"] == row["verdict"]


def test_without_training_records_there_is_no_score(likewise, table, tmp_path):
    lw.BayesianNetwork(random_state=0).fit(table).save("shop.safetensors")
    fresh = lw.datasets.toy("mixed").sample(150, random_state=1)
    fresh.to_csv("fresh.csv", index=False)
    result = likewise("evaluate", "shop.safetensors", "fresh.csv", "--json")
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)
    for name in ("score", "c2st_train", "closer_to_train", "exact_copies", "borrowed_score"):
        assert row[name] is None
        assert row["reasons"][name]
    assert row["c2st_heldout"] > 0.3
    assert "unknown" in row["verdict"]
    told = likewise("evaluate", "shop.safetensors", "fresh.csv", "--train", table, "--rows", "100")
    assert told.exit_code == 0, told.output
    assert "%" in told.stdout
    assert likewise("evaluate", "shop.safetensors", table, "--train", table, "--holdout", "0.2").exit_code == 2


def test_some_failures_are_exit_code_3_and_all_of_them_1(likewise, table, monkeypatch):
    from likewise.estimators.autoregressive import Autoregressive
    from likewise.estimators.bayesian_network import BayesianNetwork

    def fit(self, X, y=None):
        raise lw.TrainingDiverged("The loss exploded.", {})

    monkeypatch.setattr(Autoregressive, "fit", fit)
    arguments = ["compare", table, *QUICK[2:], "-q", "--families"]
    result = likewise(*arguments, "autoregressive,bayesian_network")
    assert result.exit_code == 3, result.output
    assert "Failed: Autoregressive: The loss exploded." in result.stderr
    assert "failed" in result.stdout
    monkeypatch.setattr(BayesianNetwork, "fit", fit)
    assert likewise(*arguments, "autoregressive").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--families", "flown"], "no family called 'flown'"),
        (["--holdout", "1.5"], "between 0 and 1"),
        (["--holdout", "none.csv"], "none.csv"),
        (["--target", "price"], "no modelled column"),
        (["--samples", "mine"], "NAME=FILE"),
        (["--time", "soon"], "not a duration"),
        (["--out", "no/such"], "does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(likewise, table, arguments, said):
    result = likewise("compare", table, *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert not Path("shop-comparison").exists()


def test_the_live_view_says_what_every_row_is_at():
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    live = Live(console)
    live.begin(["real", "Flow", "GAN"])
    live.done({"model": "real", "family": "reference", "status": "ok", "c2st_heldout": 0.987, "fit_seconds": None})
    live.stage("Flow", "fitting", 90.0)
    with console.capture() as shown:
        console.print(live._table())
    lines = shown.get()
    assert "two-sample score 0.99" in lines
    assert "fitting" in lines
    assert "of 1m30s" in lines
    assert "waiting" in lines
    live.heard("Flow", {"score": 0.12, "seconds": 31.0})
    with console.capture() as shown:
        console.print(live._table())
    assert "score 0.12 after 31.0s, waiting" in shown.get()
    live.stopped("Flow", "stopped after 1m02s")
    with console.capture() as shown:
        console.print(live._table())
    assert "stopped after 1m02s" in shown.get()
    live.done({"model": "flow", "family": "flow", "status": "failed", "reason": "no luck"})
    with console.capture() as shown:
        console.print(live._table())
    assert "failed: no luck" in shown.get()
    live.end()


def test_samples_of_another_table_are_refused_before_anything_is_fitted(likewise, table):
    lw.datasets.load("iris").to_csv("iris.csv", index=False)
    refused = likewise("compare", table, *QUICK, "--samples", "iris=iris.csv", "--out", "other")
    assert refused.exit_code == 2
    assert not Path("other").exists()
