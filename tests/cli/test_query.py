"""`likewise query`: what the command line asks is what the model answers."""

import json

import pandas as pd
import pytest

import likewise as lw

COIN = """
network coins { }
variable coin { type discrete [ 2 ] { fair, bent }; }
variable first { type discrete [ 2 ] { heads, tails }; }
variable second { type discrete [ 2 ] { heads, tails }; }
probability ( coin ) { table 0.75, 0.25; }
probability ( first | coin ) { (fair) 0.5, 0.5; (bent) 0.9, 0.1; }
probability ( second | coin ) { (fair) 0.5, 0.5; (bent) 0.9, 0.1; }
"""


@pytest.fixture
def coins(tmp_path) -> str:
    (tmp_path / "coins.bif").write_text(COIN)
    return "coins.bif"


def test_a_file_of_a_network_is_asked_directly(likewise, coins):
    result = likewise("query", coins, "--target", "coin", "--given", "first=heads", "--given", "second=heads", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)["answers"][0]
    bent = 0.25 * 0.81 / (0.25 * 0.81 + 0.75 * 0.25)
    assert dict(answer["probability"]) == pytest.approx({"fair": 1 - bent, "bent": bent})
    assert dict(answer["without_evidence"]) == pytest.approx({"fair": 0.75, "bent": 0.25})
    told = likewise("query", coins, "--target", "coin", "--given", "first=heads", "--explain", "--worth")
    assert told.exit_code == 0, told.output
    assert f"{0.25 * 0.9 / (0.25 * 0.9 + 0.75 * 0.5):.6g}" in told.stdout
    assert "adds to coin = fair" in told.stdout
    assert "second" in told.stdout


def test_what_is_set_is_not_what_is_seen(likewise, coins):
    seen, set_ = (
        json.loads(likewise("query", coins, "--target", "coin", option, "first=heads", "--json").stdout)
        for option in ("--given", "--do")
    )
    assert dict(seen["answers"][0]["probability"])["bent"] > 0.3
    assert dict(set_["answers"][0]["probability"])["bent"] == pytest.approx(0.25)


def test_rows_of_evidence_are_answered_into_a_table(likewise, coins, tmp_path):
    pd.DataFrame({"first": ["heads", "tails", None], "second": ["heads", None, None]}).to_csv(
        tmp_path / "rows.csv", index=False
    )
    result = likewise("query", coins, "--target", "coin", "--data", "rows.csv", "--out", "answers.csv")
    assert result.exit_code == 0, result.output
    found = pd.read_csv(tmp_path / "answers.csv")
    model = lw.BayesianNetwork.read(tmp_path / coins)
    expected = model.posterior(pd.read_csv(tmp_path / "rows.csv"), "coin")["coin"]
    assert list(found.columns) == ["coin=fair", "coin=bent"]
    assert found.to_numpy() == pytest.approx(expected)


def test_the_likeliest_states_are_told(likewise, coins):
    result = likewise("query", coins, "--likeliest", "--given", "first=tails")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "coin,first,second,log_probability"
    assert result.stdout.splitlines()[1].startswith("fair,tails,")


def test_a_model_that_was_fitted_is_asked_in_its_own_words(likewise):
    assert likewise("fit", "wine", "--family", "bayesian_network", "--out", "wine.safetensors", "-q").exit_code == 0
    result = likewise("query", "wine.safetensors", "--target", "target", "--given", "alcohol=13..", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)["answers"][0]
    assert sum(p for _, p in answer["probability"]) == pytest.approx(1)
    assert dict(answer["probability"])["class_0"] > dict(answer["without_evidence"])["class_0"]


def test_intervals_that_differ_in_late_digits_have_columns_and_texts_of_their_own(likewise, tmp_path):
    frame = pd.DataFrame({"price": [1e6 + k / 100 for k in range(30)] * 10, "kind": ["a", "b", "b"] * 100})
    model = lw.BayesianNetwork(structure="chow_liu", max_bins=5, random_state=0).fit(frame)
    model.save(tmp_path / "model.safetensors")
    frame[["kind"]].head(2).to_csv(tmp_path / "rows.csv", index=False)
    words = ("query", "model.safetensors", "--target", "price")
    assert likewise(*words, "--data", "rows.csv", "--out", "answers.csv").exit_code == 0
    found = pd.read_csv(tmp_path / "answers.csv")
    expected = model.posterior(frame[["kind"]].head(2), "price")["price"]
    assert found.to_numpy() == pytest.approx(expected)
    answer = json.loads(likewise(*words, "--json").stdout)["answers"][0]
    texts = [text for text, _ in answer["probability"]]
    assert len(set(texts)) == 5
    assert [f"price={text}" for text in texts] == list(found.columns)
    told = likewise("query", "model.safetensors", "--likeliest", "--data", "rows.csv", "--target", "price")
    assert told.stdout.splitlines()[1].split(",")[0] == texts[int(expected[0].argmax())]
    # What is told can be given.
    given = likewise(*words, "--given", f"price={texts[1]}", "--json")
    assert dict(json.loads(given.stdout)["answers"][0]["probability"])[texts[1]] == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Nothing is asked"),
        (["--target", "penny"], "no column 'penny'"),
        (["--target", "coin", "--given", "first=edge"], "edge"),
        (["--target", "coin", "--do", "first=edge"], "edge"),
        (["--target", "coin", "--do", "first"], "--do 'first' says nothing"),
        (["--target", "coin", "--data", "rows.csv", "--given", "first=heads"], "--data"),
        (["--target", "coin", "--out", "answers.txt"], "neither"),
        (["--likeliest", "--json"], "both go to stdout"),
        (["--likeliest", "--worth"], "--likeliest"),
    ],
)
def test_what_cannot_be_asked_says_why(likewise, coins, words, said):
    result = likewise("query", coins, *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_family_that_does_not_answer_is_named(likewise):
    words = ("--family", "flow", "--max-steps", "2", "--out", "flow.safetensors", "-q")
    assert likewise("fit", "iris", *words).exit_code == 0
    result = likewise("query", "flow.safetensors", "--target", "target")
    assert result.exit_code != 0
    assert "bayesian_network" in result.stderr
