"""`likewise inspect`: a table's schema and a model's description, for people and as JSON."""

import json
import sys

import pandas as pd
import pytest

from likewise import datasets


def test_a_bundled_set_is_described(likewise):
    result = likewise("inspect", "wine", "--json", "-")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["rows"] == 178
    columns = {column["name"]: column for column in found["columns"]}
    assert len(columns) == 14
    assert columns["magnesium"]["kind"] == "quantised"
    assert (columns["magnesium"]["range"], columns["magnesium"]["step"]) == ("70 to 162", "1")
    assert columns["target"]["kind"] == "categorical"
    assert sorted(columns["target"]["categories"]) == ["class_0", "class_1", "class_2"]


def test_atoms_and_blanks_are_told(likewise, tmp_path):
    datasets.toy("mixed").sample(3000, random_state=0).to_csv(tmp_path / "mixed.csv", index=False)
    result = likewise("inspect", "mixed.csv")
    assert result.exit_code == 0, result.output
    row = next(line for line in result.stdout.splitlines() if line.strip().startswith("amount"))
    missing = pd.read_csv(tmp_path / "mixed.csv")["amount"].isna().mean()
    assert f"{missing:.1%}" in row
    assert row.split()[:2] == ["amount", "real"]
    assert " 0 " in row


def test_a_file_without_a_header_is_named(likewise, tmp_path):
    (tmp_path / "bare.csv").write_text("".join(f"{i % 7},{'ab'[i % 2]}\n" for i in range(40)))
    result = likewise("inspect", "bare.csv", "--names", "count, kind", "--json", "schema.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "schema.json").read_text())
    assert [column["name"] for column in found["columns"]] == ["count", "kind"]
    assert found["rows"] == 40


def test_the_result_is_not_written_over_a_file_that_is_there(likewise, tmp_path):
    (tmp_path / "schema.json").write_text("mine")
    result = likewise("inspect", "wine", "--json", "schema.json")
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert (tmp_path / "schema.json").read_text() == "mine"
    assert likewise("inspect", "wine", "--json", "schema.json", "--force").exit_code == 0


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x10\x00\x00\x00\x00\x00\x00\x00{}              "])
def test_a_file_that_is_no_model_is_one_sentence(likewise, tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    result = likewise("inspect", "model.safetensors")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_model_is_described_without_its_family(likewise, tmp_path, monkeypatch):
    assert likewise("fit", "iris", "--family", "bayesian_network", "--seed", "7").exit_code == 0
    loaded = [name for name in sys.modules if name.startswith("likewise.families.bayesian_network")]
    for name in loaded:
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails from here on
    result = likewise("inspect", "iris.safetensors", "--json", "-")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["family"], found["seed"], len(found["columns"])) == ("bayesian_network", 7, 5)
