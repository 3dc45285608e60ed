"""The contract bites: a family that breaks one promise is told which."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import likewise as lw
from likewise.errors import NotSupported
from likewise.estimators import taxonomy
from likewise.estimators.checks import check_generative
from likewise.estimators.family_checks import check_latents
from likewise.estimators.generative import Generative
from likewise.events import Batch, Categorical, Columns, Entry, Event, Real
from likewise.families import registry
from likewise.families.bayesian_network.family import BayesianNetworkFamily
from likewise.families.family import Draws, Family, LogProb
from likewise.mathematics.monotone import MonotoneMap

RECORDS = {
    "size": np.random.default_rng(0).normal(size=60).tolist(),
    "count": np.random.default_rng(1).poisson(2, 60).tolist(),
    "kind": np.random.default_rng(2).choice(["a", "b", "c"], 60).tolist(),
}


class Honest(BayesianNetworkFamily):
    """A family that keeps every promise."""


class DependsOnNeighbours(Honest):
    def log_prob(self, batch, seed=0):
        found = super().log_prob(batch, seed)
        return replace(found, values=found.values + batch.codes[0].sum())


class DependsOnSize(Honest):
    def log_prob(self, batch, seed=0):
        found = super().log_prob(batch, seed)
        return replace(found, values=found.values - 1e-6 * len(batch))


class GuessesTheUnknown(Honest):
    def log_prob(self, batch, seed=0):
        return super().log_prob(replace(batch, status=torch.zeros_like(batch.status), restrictions={}), seed)


class IgnoresRestrictions(Honest):
    def log_prob(self, batch, seed=0):
        return super().log_prob(replace(batch, status=batch.status.clamp(max=1), restrictions={}), seed)


class NotFinite(Honest):
    def log_prob(self, batch, seed=0):
        found = super().log_prob(batch, seed)
        return replace(found, values=torch.where(torch.arange(len(batch)) == 3, torch.inf, found.values))


class ExactWithError(Honest):
    def log_prob(self, batch, seed=0):
        found = super().log_prob(batch, seed)
        return LogProb(found.values, "exact", torch.ones_like(found.values))


class SamplesGlobally(Honest):
    def sample(self, size, generator):
        return super().sample(size, torch.Generator().manual_seed(int(torch.randint(2**31, ()))))


class IgnoresItsGenerator(Honest):
    def sample(self, size, generator):
        return super().sample(size, torch.Generator().manual_seed(0))


class SamplesTooFew(Honest):
    def sample(self, size, generator):
        return super().sample(max(size - 1, 1), generator)


class SamplesTheUnseen(Honest):
    def sample(self, size, generator):
        drawn = super().sample(size, generator)
        codes = drawn.codes.clone()
        codes[:, -1] = self.event.all[-1].unseen
        return replace(drawn, codes=codes)


class ForgetsEvidence(Honest):
    def conditional(self, evidence, draws, generator):
        return Draws(self.sample(len(evidence) * draws, generator))


class WrongOrderOfDraws(Honest):
    def conditional(self, evidence, draws, generator):
        size = len(evidence)
        found = super().conditional(evidence, draws, generator).batch
        return Draws(found.rows(torch.arange(size * draws).reshape(size, draws).T.flatten()))


class KeepsSecretState(Honest):
    """What was learned is not all in settings and tensors."""

    def fit_closed_form(self, train, held_out, seed, *, partial=False, seconds=None):
        self.secret = 1.0
        return super().fit_closed_form(train, held_out, seed, partial=partial)

    def log_prob(self, batch, seed=0):
        found = super().log_prob(batch, seed)
        return replace(found, values=found.values - getattr(self, "secret", 0.0))


class LearnsAtRandom(Honest):
    def fit_closed_form(self, train, held_out, seed, *, partial=False, seconds=None):
        record = super().fit_closed_form(train, held_out, seed, partial=partial)
        for buffer in self.buffers():
            buffer.mul_(torch.rand((), dtype=torch.float64))
        return record


class IgnoresMoreRecords(Honest):
    def fit_closed_form(self, train, held_out, seed, *, partial=False, seconds=None):
        return {} if partial else super().fit_closed_form(train, held_out, seed)


class Broken(lw.BayesianNetwork):
    """The estimator of whatever family stands in the registry."""


def adopt(monkeypatch, family, estimator):
    """Puts a family in the place of the Bayesian network."""
    monkeypatch.setattr(registry, "family_class", lambda name: family)
    monkeypatch.setattr("likewise.estimators.generative.family_class", lambda name: family)
    monkeypatch.setattr("likewise.estimators.files.estimator_class", lambda name: estimator)


BROKEN = {
    DependsOnNeighbours: "depends on",
    DependsOnSize: "depends on",
    GuessesTheUnknown: "is not the sum over its states|larger than",
    IgnoresRestrictions: "restricted to some codes is not the sum",
    NotFinite: "finite",
    ExactWithError: "standard errors",
    SamplesGlobally: "differ",
    IgnoresItsGenerator: "are the same",
    SamplesTooFew: "drew",
    SamplesTheUnseen: "never seen|no finite score|samples",
    ForgetsEvidence: "changed a .* that was known",
    WrongOrderOfDraws: "changed a .* that was known",
    KeepsSecretState: "other scores",
    LearnsAtRandom: "random_state differ",
    IgnoresMoreRecords: "learns nothing",
}


def fast(estimator=Broken):
    return estimator(structure="chow_liu", conditionals="tables", max_bins=4)


def test_an_honest_family_passes(monkeypatch):
    adopt(monkeypatch, Honest, Broken)
    check_generative(fast(), RECORDS)


@pytest.mark.parametrize("family", BROKEN)
def test_a_broken_promise_is_named(monkeypatch, family):
    adopt(monkeypatch, family, Broken)
    with pytest.raises(AssertionError, match=BROKEN[family]) as caught:
        check_generative(fast(), RECORDS)
    assert "\n" not in str(caught.value)


class Untruthful(Broken):
    @property
    def encode(self):
        return lambda X: X


class Meddling(Broken):
    def fit(self, X, y=None):
        self.max_bins = 5
        return super().fit(X, y)


class Silent(Broken):
    def fit(self, X, y=None):
        super().fit(X, y)


class Destructive(Broken):
    def fit(self, X, y=None):
        super().fit(X, y)
        if isinstance(X, dict):
            X["size"][0] = 0.0
        return self


class Remembering(Broken):
    def fit(self, X, y=None):
        return self.partial_fit(X, y) if hasattr(self, "family_") else super().fit(X, y)


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (Untruthful, "hasattr"),
        (Meddling, "changed a parameter"),
        (Silent, "does not return"),
        (Destructive, "changed the records"),
        (Remembering, "remembers the first"),
    ],
)
def test_an_estimator_that_misbehaves_is_named(monkeypatch, estimator, words):
    adopt(monkeypatch, Honest, estimator)
    with pytest.raises(AssertionError, match=words):
        check_generative(fast(estimator), {name: list(cells) for name, cells in RECORDS.items()})


# ------------------------------------------------------------------- a family with a latent space and without a density


class Mirror(Family):
    """Values are their latents: z ~ N(m, s), and that is all there is. It states no density and knows no evidence."""

    name = "mirror"

    def __init__(self, event: Event, *, scale: float = 1.0):
        super().__init__(event, {"scale": scale})
        self.register_buffer("mean", torch.zeros(len(event), dtype=torch.float64))
        self.register_buffer("counted", torch.zeros((), dtype=torch.float64))

    def fit_closed_form(self, train, held_out, seed, *, partial=False, seconds=None):
        self.counted.add_(len(train))
        self.mean.lerp_(train.values.double().mean(0), len(train) / self.counted.item())
        return {}

    def sample(self, size: int, generator: torch.Generator) -> Batch:
        return self.decode(self.prior_latent(size, generator))

    @property
    def latent_size(self) -> int:
        return len(self.event)

    def prior_latent(self, size: int, generator: torch.Generator) -> Tensor:
        noise = torch.randn(size, len(self.event), dtype=torch.float64, generator=generator)
        return self.mean + self.settings["scale"] * noise

    def encode(self, batch: Batch) -> Tensor:
        return batch.values.double()

    def decode(self, latent: Tensor) -> Batch:
        return self.event.complete(torch.zeros(len(latent), len(self.event), dtype=torch.int64), latent.double())


class MirrorModel(Generative):
    family_name = "mirror"

    def __init__(
        self, *, scale: float = 1.0, validation_fraction: float = 0.1, random_state: int | None = None
    ) -> None:
        self.scale = scale
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    max_time = max_steps = domain = checkpoint = None
    device, resume, verbose = "cpu", False, 0

    def _settings(self):
        return {"scale": self.scale}


@pytest.fixture
def mirror(monkeypatch):
    monkeypatch.setattr("likewise.estimators.generative.family_class", lambda name: Mirror)
    for module in (taxonomy, "likewise.estimators.files"):
        table = {**taxonomy.ESTIMATORS, "mirror": (__name__, "MirrorModel")}
        monkeypatch.setattr(
            f"{module}.ESTIMATORS" if isinstance(module, str) else f"{module.__name__}.ESTIMATORS", table
        )
    monkeypatch.setattr("likewise.estimators.files.estimator_class", lambda name: MirrorModel)
    return MirrorModel(scale=0.5, random_state=0)


def test_a_family_without_a_density_passes_and_says_who_has_one(mirror):
    records = np.random.default_rng(0).normal(size=(50, 2))
    check_generative(mirror, records)
    assert not hasattr(mirror, "score_samples")
    with pytest.raises(AttributeError) as caught:
        mirror.log_likelihood(records)
    assert isinstance(caught.value.__cause__, NotSupported)
    assert "use Autoregressive or BayesianNetwork" in str(caught.value.__cause__)
    with pytest.raises(NotSupported, match="use Autoregressive or BayesianNetwork"):
        mirror.fit(records).sample(3, given={"x0": 0.0})


def test_a_conditional_family_that_decodes_without_labels_is_named():
    event = Event(Columns(), (Entry("x", Categorical(1), Real(MonotoneMap.affine(0.0, 1.0))),))
    values = torch.linspace(-1, 1, 5).unsqueeze(1)
    family, batch = Mirror(event), event.complete(torch.zeros_like(values, dtype=torch.int64), values)
    check_latents(family, batch)
    family.settings["conditional"] = True
    with pytest.raises(AssertionError, match="are decoded all the same"):
        check_latents(family, batch)


def test_latents_go_there_and_back_and_between(mirror):
    records = np.random.default_rng(0).normal(size=(50, 2))
    model = mirror.fit(records)
    latents = model.encode(records)
    np.testing.assert_allclose(model.decode(latents), records, rtol=1e-9)
    np.testing.assert_allclose(model.encode(model.decode(latents)), latents, rtol=1e-9)
    path = model.interpolate(records[:2], records[2:4], steps=5)
    assert path.shape == (10, 2)
    np.testing.assert_allclose(path[[0, 4, 5, 9]], records[[0, 2, 1, 3]], rtol=1e-9)
    np.testing.assert_allclose(model.encode(path)[2], (latents[0] + latents[2]) / 2, rtol=1e-9)
