"""`encode`, `interpolate`, `latents`: a model with a latent space, from its file."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from whitening import Whitening, registered

import likewise as lw


@pytest.fixture
def whitened(likewise, tmp_path):
    """The file of a model of wine without its class."""
    frame = lw.datasets.load("wine")
    frame.to_csv(tmp_path / "wine.csv", index=False)
    with registered():
        model = Whitening(components=3, random_state=0).fit(frame.drop(columns="target"))
        model.save("wine.safetensors")
        yield "wine.safetensors"


@pytest.fixture
def network(likewise):
    assert likewise("fit", "iris", "--family", "bayesian_network", "-q").exit_code == 0
    return "iris.safetensors"


def test_latents_are_those_of_the_model(likewise, whitened, tmp_path):
    result = likewise("encode", whitened, "wine.csv", "--out", "latents.parquet", "--json", "facts.json")
    assert result.exit_code == 0, result.output
    found = pd.read_parquet(tmp_path / "latents.parquet")
    assert list(found.columns) == ["z1", "z2", "z3"]
    expected = lw.load(whitened).encode(pd.read_csv(tmp_path / "wine.csv"))
    np.testing.assert_array_equal(found.to_numpy(), expected)
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert (facts["records"], facts["latents"], facts["family"]) == (178, 3, "whitening")
    piped = likewise("encode", whitened, "wine.csv")
    np.testing.assert_allclose(pd.read_csv(io.StringIO(piped.stdout)).to_numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_a_path_is_that_of_the_model_and_rows_count_from_one(likewise, whitened, tmp_path, path):
    result = likewise(
        "interpolate", whitened, "wine.csv", "--rows", 3, 17, "--steps", 5, "--path", path, "--out", "p.csv"
    )
    assert result.exit_code == 0, result.output
    frame, model = pd.read_csv(tmp_path / "wine.csv"), lw.load(whitened)
    expected = model.interpolate(frame.iloc[[2]], frame.iloc[[16]], steps=5, path=path)
    expected.to_csv(tmp_path / "expected.csv", index=False)
    assert (tmp_path / "p.csv").read_text() == (tmp_path / "expected.csv").read_text()


def test_the_report_puts_a_label_that_the_model_never_saw_first(likewise, whitened):
    result = likewise("latents", whitened, "wine.csv", "--label", "target", "--json", "latents.json")
    assert result.exit_code == 0, result.output
    assert "3 latents of whitening, 3 active" in result.stdout
    assert result.stdout.index("never saw") < result.stdout.index("alcohol  ", result.stdout.index("probes"))
    told = likewise("latents", whitened, "wine.csv", "--label", "alcohol", "--json", "-")
    found = json.loads(told.stdout)
    assert found["labels_learned"]
    assert found["labels"][0]["column"] == "alcohol"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["interpolate", "MODEL", "wine.csv", "--rows", "0", "3"], "no row 0"),
        (["interpolate", "MODEL", "wine.csv", "--rows", "3", "179"], "rows 1 to 178"),
        (["interpolate", "MODEL", "wine.csv", "--rows", "1", "2", "--steps", "1"], "steps"),
        (["interpolate", "MODEL", "wine.csv", "--rows", "1", "2", "--path", "curved"], "path"),
        (["latents", "MODEL", "wine.csv", "--label", "colour"], "no column 'colour'"),
        (["encode", "MODEL", "wine.csv", "--json", "-"], "--out"),
        (["encode", "MODEL", "wine.csv", "--out", "latents.xlsx"], ".parquet"),
        (["encode", "MODEL", "iris"], "alcohol"),
    ],
)
def test_what_cannot_be_is_exit_code_2(likewise, whitened, words, told):
    result = likewise(*(whitened if word == "MODEL" else word for word in words))
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize("words", [["encode"], ["interpolate", "--rows", "1", "2"], ["latents"]])
def test_a_model_without_latents_says_so(likewise, network, words):
    result = likewise(words[0], network, "iris", *words[1:])
    assert result.exit_code == 2
    assert "BayesianNetwork has no latents" in result.stderr
    assert len(result.stderr.splitlines()) == 1
