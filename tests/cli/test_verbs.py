"""`fit`, `sample`, `score`: a table goes in, a model comes out, and answers."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import likewise as lw
from likewise.errors import TrainingDiverged

SRC = Path(__file__).parents[2] / "src"


@pytest.fixture
def network(likewise) -> str:
    """A Bayesian network of iris."""
    result = likewise("fit", "iris", "--family", "bayesian_network", "--out", "iris.safetensors", "-q")
    assert result.exit_code == 0, result.output
    assert result.output == ""
    return "iris.safetensors"


# ---------------------------------------------------------------------------------------------------------------- fit


def test_fit_says_what_it_did(likewise, tmp_path):
    result = likewise("fit", "iris", "--family", "bayesian_network", "--json", "fit.json", "--seed", "3")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    facts = json.loads((tmp_path / "fit.json").read_text())
    assert (facts["rows"], facts["columns"], facts["held_out_rows"], facts["seed"]) == (150, 5, 15, 3)
    assert facts["file"] == "iris.safetensors"
    assert facts["log_likelihood"]["kind"] == "exact"
    assert f"{facts['log_likelihood']['mean']:.3f}" in result.stderr
    assert "150 rows" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit.json", "iris.safetensors"]


def test_trees_of_hidden_states_are_fitted_by_name(likewise):
    result = likewise("fit", "iris", "--family", "hidden_tree", "--time", "5s")
    assert result.exit_code == 0, result.output
    assert lw.load("iris.safetensors").structure == "hidden_tree"


def test_the_held_out_figure_is_the_score_of_the_rows_held_out(likewise, tmp_path):
    from likewise.estimators.fitting import split

    frame = lw.datasets.load("iris")
    frame.to_csv(tmp_path / "iris.csv", index=False)
    likewise("fit", "iris.csv", "--family", "bayesian_network", "--json", "fit.json", "--seed", "3")
    facts = json.loads((tmp_path / "fit.json").read_text())
    held_out = pd.read_csv(tmp_path / "iris.csv").iloc[split(150, 0.1, 3)[1]]
    expected = lw.load(tmp_path / "iris.safetensors").score(held_out)
    assert facts["log_likelihood"]["mean"] == pytest.approx(expected, abs=1e-9)


def test_the_same_seed_gives_the_same_model(likewise):
    for out in ("a.safetensors", "b.safetensors"):
        arguments = ["fit", "iris", "--family", "autoregressive", "--max-steps", 20, "--seed", 5, "--out", out, "-q"]
        result = likewise(*arguments)
        assert result.exit_code == 0, result.output
    a, b = lw.load("a.safetensors"), lw.load("b.safetensors")
    for one, other in zip(a.family_.state_dict().values(), b.family_.state_dict().values(), strict=True):
        assert one.equal(other)


def test_a_model_is_not_written_over_unless_forced(likewise, network):
    before = Path(network).read_bytes()
    again = ["fit", "iris", "--family", "bayesian_network", "--seed", "9"]
    result = likewise(*again)
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert Path(network).read_bytes() == before
    assert likewise(*again, "--force").exit_code == 0
    assert Path(network).read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fit"], "DATA"),
        (["fit", "wine", "--family", "flown"], "'flown'"),
        (["fit", "wine", "--out", "wine.pkl"], ".safetensors"),
        (["fit", "wine", "--out", "nowhere/wine.safetensors"], "'nowhere'"),
        (["fit", "wine", "--time", "soon"], "'soon' is not a duration"),
        (["fit", "wine", "--max-steps", "0"], "max-steps"),
        (["fit", "wine", "--seed", "-1"], "seed"),
        (["fit", "no-such-set"], "'no-such-set' does not exist"),
        (["fit", "wine", "--names", "a,b"], "names"),
        (["sample", "no-such-model.safetensors"], "no-such-model"),
        (["score", "no-such-model.safetensors", "wine"], "no-such-model"),
        (["inspect"], "DATA"),
        (["paint"], "paint"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_exit_code_2_and_leaves_nothing(likewise, tmp_path, arguments, told):
    result = likewise(*arguments)
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert not list(tmp_path.iterdir())


def test_a_fit_that_diverges_is_exit_code_1(likewise, monkeypatch):
    from likewise.estimators.autoregressive import Autoregressive

    def diverge(self, X, y=None):
        raise TrainingDiverged("The loss exploded 5 times.")

    monkeypatch.setattr(Autoregressive, "fit", diverge)
    result = likewise("fit", "wine")
    assert result.exit_code == 1
    assert result.stderr == "Error: The loss exploded 5 times.\n"


def test_the_training_log_is_a_line_of_json_an_event(likewise, tmp_path):
    result = likewise("fit", "iris", "--max-steps", 30, "--log", "log.jsonl", "-q")
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert events[0]["event"] == "start"
    assert events[-1]["event"] == "end"
    assert events[-1]["steps"] == 30

    in_one_pass = ["fit", "iris", "--family", "bayesian_network", "--out", "network.safetensors", "--log"]
    assert likewise(*in_one_pass, "log.jsonl").exit_code == 2
    assert likewise(*in_one_pass, "network.jsonl").exit_code == 0
    (line,) = (tmp_path / "network.jsonl").read_text().splitlines()
    assert json.loads(line)["event"] == "end"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "iris.safetensors",
        "log.jsonl",
        "network.jsonl",
        "network.safetensors",
    ]


def test_interrupted_keeps_the_checkpoint_and_resume_ends_where_one_run_would(likewise, tmp_path):
    arguments = ["fit", "iris", "--max-steps", "80", "--seed", "4"]
    assert likewise(*arguments, "--out", "whole.safetensors", "-q").exit_code == 0

    command = [sys.executable, "-m", "likewise", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    running = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "iris.safetensors.checkpoint" / "training.jsonl"
    while running.poll() is None and not (log.exists() and '"validation"' in log.read_text()):
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130, told
    assert "--resume" in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "iris.safetensors").exists()

    refused = likewise(*arguments)
    assert refused.exit_code == 2
    assert "--resume" in refused.stderr

    assert likewise(*arguments, "--resume").exit_code == 0
    assert not log.parent.exists()
    whole, resumed = (lw.load(tmp_path / f"{name}.safetensors") for name in ("whole", "iris"))
    for one, other in zip(whole.family_.state_dict().values(), resumed.family_.state_dict().values(), strict=True):
        assert one.equal(other)


# ------------------------------------------------------------------------------------------------------------- sample


def test_samples_go_to_stdout_as_csv_that_reads_back(likewise, network):
    result = likewise("sample", network, "-n", 50)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    records = pd.read_csv(io.StringIO(result.stdout))
    original = lw.datasets.load("iris")
    assert list(records.columns) == list(original.columns)
    assert len(records) == 50
    assert set(records["target"]) <= set(original["target"])
    # Iris was measured in tenths of a centimetre.
    assert all(len(cell.split(".")[1]) == 1 for cell in result.stdout.splitlines()[1].split(",")[:4])


@pytest.mark.parametrize("name", ["new.csv", "new.parquet"])
def test_samples_go_to_a_file_by_its_ending(likewise, network, tmp_path, name):
    result = likewise("sample", network, "-n", 20, "--out", name, "--seed", 1)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    expected = lw.load(network).sample(20, random_state=1)
    got = read(tmp_path / name)
    assert got["target"].astype(str).tolist() == expected["target"].astype(str).tolist()
    np.testing.assert_array_equal(got.iloc[:, :4], expected.iloc[:, :4])
    assert likewise("sample", network, "--out", name).exit_code == 2
    assert likewise("sample", network, "--out", name, "--force").exit_code == 0


def test_given_is_obeyed(likewise, network):
    words = [
        "--given",
        "target=setosa|virginica",
        "--given",
        "petal width (cm)=1.5..",
        "--given",
        "sepal width (cm)=3.0",
    ]
    result = likewise("sample", network, "-n", 40, *words)
    assert result.exit_code == 0, result.output
    records = pd.read_csv(io.StringIO(result.stdout))
    assert set(records["target"]) <= {"setosa", "virginica"}
    assert (records["petal width (cm)"] >= 1.5).all()
    assert (records["sepal width (cm)"] == 3.0).all()


def test_given_is_understood_in_the_types_of_the_columns(likewise, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, 400), "D"),
            "tagged": rng.random(400) < 0.5,
            "amount": np.where(rng.random(400) < 0.3, np.nan, rng.normal(size=400)),
            "code": rng.integers(0, 1000, 400),
        }
    )
    frame.to_csv(tmp_path / "all.csv", index=False)
    assert likewise("fit", "all.csv", "--family", "bayesian_network").exit_code == 0
    words = ["day=2024-02-03", "tagged=true", "amount=-0.5..0.5|", "code=17|19|500..600"]
    arguments = [part for word in words for part in ("--given", word)]
    result = likewise("sample", "all.safetensors", "-n", 200, *arguments)
    assert result.exit_code == 0, result.output
    records = pd.read_csv(io.StringIO(result.stdout), parse_dates=["day"])
    assert (records["day"] == pd.Timestamp("2024-02-03")).all()
    assert records["tagged"].all()
    assert (records["amount"].isna() | records["amount"].between(-0.5, 0.5)).all()
    assert 0 < records["amount"].isna().mean() < 1
    assert (records["code"].isin([17, 19]) | records["code"].between(500, 600)).all()


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("colour=red", "'colour'"),
        ("target", "says nothing"),
        ("target=tulip", "'tulip'"),
        ("petal width (cm)=wide", "'wide'"),
        ("petal width (cm)=3..1", "empty"),
    ],
)
def test_given_that_cannot_be_is_exit_code_2(likewise, network, word, told):
    result = likewise("sample", network, "--given", word)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("name", ["new.xlsx", "new"])
def test_an_ending_that_names_no_format_is_refused(likewise, network, name):
    result = likewise("sample", network, "--out", name)
    assert result.exit_code == 2
    assert ".parquet" in result.stderr


def test_facts_of_a_sample_are_json(likewise, network, tmp_path):
    assert likewise("sample", network, "--json", "-").exit_code == 2
    result = likewise("sample", network, "-n", 7, "--out", "new.csv", "--json", "-", "-q")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["records"], facts["file"], facts["effective_sample_size"]) == (7, "new.csv", None)


def test_a_reader_who_stops_reading_ends_the_command_in_silence(tmp_path, network):
    command = [sys.executable, "-m", "likewise", "sample", str(Path(network).resolve()), "-n", "5000"]
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    running.stdout.readline()
    running.stdout.close()
    told = running.stderr.read()
    assert running.wait(timeout=60) == 0
    assert told == b""


# -------------------------------------------------------------------------------------------------------------- score


def test_scores_are_those_of_the_model(likewise, network, tmp_path):
    result = likewise("score", network, "iris", "--out", "scores.csv", "--json", "-")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    expected = lw.load(network).log_likelihood(lw.datasets.load("iris"))
    assert facts["mean_log_likelihood"] == pytest.approx(expected.mean, abs=1e-9)
    assert (facts["kind"], facts["base_measure"], facts["records"]) == ("exact", expected.base_measure, 150)
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert list(scores.columns) == ["log_likelihood"]
    np.testing.assert_allclose(scores["log_likelihood"], expected.values, rtol=1e-12)


def test_the_mean_goes_to_stdout_or_each_score_does(likewise, network):
    mean = likewise("score", network, "iris")
    assert mean.exit_code == 0, mean.output
    assert "nats a record" in mean.stdout
    assert "exact" in mean.stdout
    each = likewise("score", network, "iris", "--out", "-")
    assert each.stdout.splitlines()[0] == "log_likelihood"
    assert len(each.stdout.splitlines()) == 151


def test_records_without_a_column_of_the_model_are_refused(likewise, network):
    result = likewise("score", network, "wine")
    assert result.exit_code == 2
    assert "sepal length (cm)" in result.stderr
    assert len(result.stderr.splitlines()) == 1
