"""A model in a file: the same to the bit, and safe to open wherever it comes from."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import likewise as lw
from likewise import storage
from likewise.domains.table import Table
from likewise.errors import ModelFileError
from likewise.estimators.files import describe

MODELS = {
    "autoregressive": lw.Autoregressive(width=4, hidden=8, layers=2, components=2, max_steps=2, random_state=0),
    "bayesian_network": lw.BayesianNetwork(structure="chow_liu", conditionals="trees", max_bins=4, random_state=0),
    "diffusion": lw.Diffusion(width=4, hidden=4, layers=1, bumps=4, max_steps=2, random_state=0),
    "energy": lw.EnergyModel(width=4, layers=1, bumps=4, candidates=2, moves=2, max_steps=2, random_state=0),
    "flow": lw.Flow(
        blocks=1,
        width=4,
        layers=1,
        bins=4,
        bumps=4,
        code_width=4,
        code_hidden=4,
        code_layers=1,
        max_steps=2,
        random_state=0,
    ),
    "hidden_tree": lw.BayesianNetwork(structure="hidden_tree", states=3, components=2, max_bins=4, random_state=0),
    "gan": lw.GAN(width=4, layers=1, critic_width=4, critic_layers=1, latent=2, max_steps=2, random_state=0),
    "vae": lw.VAE(latent=2, width=4, hidden=4, layers=1, components=2, prior_components=2, max_steps=2, random_state=0),
}


def records():
    noise = np.random.default_rng(0)
    return {
        "size": noise.normal(size=40).tolist(),
        "price": [round(x, 1) if x < 5 else None for x in noise.exponential(2, 40)],
        "kind": noise.choice(["a", "b", "c"], 40).tolist(),
    }


@pytest.fixture(scope="module", params=MODELS)
def model_file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / f"{request.param}.safetensors"
    MODELS[request.param].fit(records()).save(path)
    return path


def test_what_is_loaded_is_the_estimator_with_its_parameters(model_file):
    loaded, expected = lw.load(model_file), MODELS[model_file.stem]
    assert type(loaded) is type(expected)
    assert loaded.get_params() == expected.get_params()
    assert loaded.feature_names_in_.tolist() == ["size", "price", "kind"]
    assert loaded.training_record_["train_records"] == 36


def test_a_file_describes_itself_without_being_built(model_file, monkeypatch):
    monkeypatch.setattr("likewise.estimators.files.estimator_class", None)
    header = describe(model_file)
    assert header["family"] == MODELS[model_file.stem].family_name
    assert header["seed"] == 0
    assert [column["name"] for column in header["domain"]["description"]["columns"]] == ["size", "price", "kind"]


def test_loading_through_the_wrong_class_says_so(model_file):
    other = next(model for model in MODELS.values() if type(model) is not type(MODELS[model_file.stem]))
    with pytest.raises(ModelFileError, match=f"not of {type(other).__name__}"):
        type(other).load(model_file)
    assert type(lw.load(model_file)).load(model_file).n_features_in_ == 3


def test_parameters_that_belong_to_one_machine_are_not_kept(tmp_path):
    model = lw.BayesianNetwork(domain=Table(), verbose=1, random_state=np.random.RandomState(0)).fit(records())
    model.save(tmp_path / "model.safetensors")
    loaded = lw.load(tmp_path / "model.safetensors")
    assert (loaded.domain, loaded.verbose, loaded.random_state) == (None, 0, None)


def test_truncation_anywhere_is_refused(model_file, tmp_path):
    whole, path = model_file.read_bytes(), tmp_path / "cut.safetensors"
    for size in np.linspace(0, len(whole) - 1, 500).astype(int):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelFileError):
            lw.load(path)


def test_a_flipped_bit_anywhere_is_refused(model_file, tmp_path):
    whole, path = bytearray(model_file.read_bytes()), tmp_path / "flipped.safetensors"
    for bit in np.random.default_rng(0).choice(8 * len(whole), 500, replace=False):
        whole[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(whole)
        with pytest.raises(ModelFileError):
            lw.load(path)
        whole[bit // 8] ^= 1 << (bit % 8)


def test_hostile_contents_with_an_honest_checksum_are_refused(forks, model_file, tmp_path):
    path = tmp_path / model_file.name
    path.write_bytes(model_file.read_bytes())
    done = forks.run(Path(__file__).with_name("hostile_models.py").read_text("utf-8"), path, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["cases"] > 300
    assert facts["otherwise"] == []
    assert facts["megabytes"] < 200
    assert facts["slowest"][0] < 5
    # Only what is still a model may load: nothing that is another size, nothing of another type, no other tensors.
    settings = [words for words in facts["loaded"] if words.startswith("('settings'")]
    for wrong in (" = 'x'", " = {}", " = [[]]", " = 4611686018427387904", " = 1e+300", "= '9999"):
        assert not [words for words in settings if words.endswith(wrong)]
    tensors = ("missing", "longer", "flat", "in bytes", "in half", "of NaN", "one more", "another room", "none")
    assert not [words for words in facts["loaded"] if words.endswith(tensors)]
    assert "an unknown setting" not in facts["loaded"]
    assert "an unknown field" not in facts["loaded"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"family": "oracle"}, "unknown family 'oracle'"),
        ({"family": ["autoregressive"]}, "unknown family"),
        ({"domain": {"name": "os", "description": {}}}, "unknown domain 'os'"),
        ({"settings": []}, "settings"),
        ({"seed": "0"}, "seed"),
        ({"parameters": {"max_steps": 1, "checkpoint": "/"}}, "parameters"),
        ({"features": {"count": 3, "names": [1, 2, 3]}}, "features"),
    ],
)
def test_a_refusal_says_what_is_wrong(model_file, tmp_path, change, words):
    header, tensors = storage.read(model_file)
    path = tmp_path / "changed.safetensors"
    storage.write(path, {**header, **change}, tensors)
    with pytest.raises(ModelFileError, match=words):
        lw.load(path)


def test_a_setting_younger_than_the_file_has_its_default(model_file, tmp_path):
    header, tensors = storage.read(model_file)
    younger = {
        "bayesian_network": "max_states",
        "hidden_tree": "components",
        "energy": "sigma",
        "gan": "unroll",
        "vae": "free_bits",
    }
    name = younger.get(model_file.stem, "dropout")
    settings = {key: value for key, value in header["settings"].items() if key != name}
    assert len(settings) == len(header["settings"]) - 1
    path = tmp_path / "older.safetensors"
    storage.write(path, {**header, "settings": settings}, tensors)
    first, again = (lw.load(each).sample(20, random_state=0) for each in (model_file, path))
    assert first == again


@pytest.mark.parametrize("size", [10**4, 10**9, 2**62])
@pytest.mark.parametrize("name", ["width", "hidden", "layers", "components"])
def test_a_file_cannot_ask_for_a_larger_model_than_it_holds(tmp_path, name, size):
    path = tmp_path / "large.safetensors"
    MODELS["autoregressive"].fit(records()).save(path)
    header, tensors = storage.read(path)
    storage.write(path, {**header, "settings": {**header["settings"], name: size}}, tensors)
    with pytest.raises(ModelFileError):
        lw.load(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(ModelFileError, match="no model file"):
        lw.load(tmp_path / "absent.safetensors")


def test_loading_leaves_the_global_random_state(model_file):
    before = torch.get_rng_state()
    lw.load(model_file)
    assert torch.equal(before, torch.get_rng_state())
