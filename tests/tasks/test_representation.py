"""What a latent report says of models whose latents are known."""

import json

import numpy as np
import pandas as pd
import pytest
from whitening import Whitening

import likewise as lw
from likewise.errors import DataError, NotSupported
from likewise.tasks.representation import coordinates


def frame(size=600, seed=0):
    """A pair that hangs together, a category that follows it, and a number by itself."""
    noise = np.random.default_rng(seed)
    side, alone = noise.normal(size=(2, size))
    area = 3 * side + 0.01 * noise.normal(size=size)
    return pd.DataFrame({"side": side, "area": area, "kind": np.where(side > 0, "large", "small"), "alone": alone})


def labels():
    """What no model was told."""
    return (frame(seed=1)["side"] > 1).rename("wide")


@pytest.fixture(scope="module")
def model():
    return Whitening(components=9, random_state=0).fit(frame())


@pytest.fixture(scope="module")
def report(model):
    return lw.latent_report(model, frame(seed=1), labels())


def test_latents_without_variance_are_not_active(report):
    # Of side and area, kind, and alone there are three directions with variance, and a little one beside them.
    assert len(report.coordinates) == 9
    assert 3 <= report.active <= 4
    assert all(one.deviation == 0 for one in report.coordinates if not one.active)
    assert (report.effects[[not one.active for one in report.coordinates]] == 0).all()


def test_statistics_are_those_of_each_coordinate():
    latents = np.random.default_rng(0).exponential(size=(200_000, 1)) * np.array([[1.0, -0.05]])
    first, second = coordinates(latents)
    assert (first.mean, first.deviation, first.skew) == pytest.approx((1, 1, 2), abs=0.05)
    assert (second.mean, second.deviation, second.skew) == pytest.approx((-0.05, 0.05, -2), abs=0.05)
    assert (first.active, second.active) == (True, False)


def test_a_coordinate_moves_the_columns_that_it_carries(model, report):
    effects = report.to_frames()["effects"]
    of_alone, of_side = effects["alone"].idxmax(), effects["side"].idxmax()
    assert of_alone != of_side
    assert effects.loc[of_alone, "alone"] == pytest.approx(1, abs=0.1)  # its own deviation, by one deviation
    assert effects.loc[of_alone, "side"] < 0.1
    assert effects.loc[of_side, "area"] == pytest.approx(effects.loc[of_side, "side"], rel=0.05)
    # Where few coordinates have to do, the category hangs on them.
    rough = lw.latent_report(Whitening(components=2, random_state=0).fit(frame()), frame(seed=1))
    assert 0.1 < rough.to_frames()["effects"]["kind"].max() <= 1


def test_latents_from_the_prior_lie_at_no_distance(model, report):
    far = lw.latent_report(model, frame(seed=1).assign(alone=5.0))
    assert far.prior_distance.low > 0.05
    normal = Whitening(components=1, random_state=0).fit(frame()[["alone", "kind"]])
    near = lw.latent_report(normal, normal.sample(2000, random_state=0))
    assert near.prior_distance.value < far.prior_distance.value


def test_whitened_latents_predict_what_as_many_principal_components_do(report):
    # The same space in another basis: linear models cannot tell them apart.
    assert {one.column: one.measure for one in report.probes} == {
        "side": "R2", "area": "R2", "kind": "accuracy", "alone": "R2",
    }  # fmt: skip
    for one in (*report.labels, *report.probes):
        assert one.latents.value > 0.9, one
        assert abs(one.gain.value) < 0.05, one
        assert one.latents.low <= one.latents.value <= one.latents.high


def test_labels_that_the_model_never_saw_come_first(report):
    (label,) = report.labels
    assert (label.column, label.measure) == ("wide", "accuracy")
    assert label.baseline == pytest.approx(1 - labels().mean(), abs=0.05)
    assert not report.labels_learned
    words = str(report)
    assert words.index("the model never saw them") < words.index("columns (parts of the record")


def test_the_encoder_is_not_told_the_labels_unless_it_needs_them():
    class Needy(Whitening):
        """Encodes nothing without labels."""

        def encode(self, X, y=None):
            if y is None:
                raise NotSupported("give y: this model is conditional on labels")
            return super().encode(X, y)

    plain, needy = (cls(components=4, random_state=0).fit(frame(), labels()) for cls in (Whitening, Needy))
    told, untold = (lw.latent_report(model, frame(seed=1), labels()) for model in (needy, plain))
    assert told.labels_learned
    assert untold.labels_learned
    assert "the model learned from them" in str(untold)
    without = lw.latent_report(plain, frame(seed=1))
    assert untold.as_dict()["coordinates"] == without.as_dict()["coordinates"] != told.as_dict()["coordinates"]
    with pytest.raises(NotSupported, match="give y"):
        lw.latent_report(needy, frame(seed=1))


def test_whole_numbers_as_labels_are_categories(model):
    (label,) = lw.latent_report(model, frame(), (frame()["side"] > 0).astype(int).to_numpy()).labels
    assert (label.column, label.measure) == ("label", "accuracy")


def test_components_that_are_the_whole_record_are_named_so(report):
    # Three numbers and a category of two levels have four directions, fewer than the nine latents.
    assert (report.components, report.whole) == (4, True)
    assert "all 4 principal components, which hold the whole record" in str(report)
    few = lw.latent_report(Whitening(components=2, random_state=0).fit(frame()), frame())
    assert (few.components, few.whole) == (2, False)
    assert "as many principal components (2)" in str(few)


def test_latents_that_know_less_predict_less():
    noise = np.random.default_rng(0)
    wide = pd.DataFrame(noise.normal(size=(400, 4)), columns=list("abcd"))
    wide["b"] = wide["a"]
    model = Whitening(components=1, random_state=0).fit(wide)
    probes = {one.column: one for one in lw.latent_report(model, wide).probes}
    assert probes["a"].latents.value > 0.9
    assert probes["c"].latents.high < 0.2


def test_the_report_is_the_same_every_time_and_of_the_seed(model, report):
    again = lw.latent_report(model, frame(seed=1), labels())
    assert again.as_dict() == report.as_dict()
    other = lw.latent_report(model, frame(seed=1), random_state=1)
    assert other.as_dict()["probes"] != report.as_dict()["probes"]


def test_the_report_is_json_frames_and_words(report):
    told = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert told["active"] == report.active
    frames = report.to_frames()
    assert frames["effects"].shape == (9, 4)
    assert frames["probes"]["column"].tolist() == ["wide", "side", "area", "kind", "alone"]
    words = str(report)
    assert "9 latents of whitening" in words
    assert "(idle)" in words
    assert max(map(len, words.splitlines())) < 120


def test_a_column_that_does_not_vary_has_no_probe_and_says_why(model):
    some = frame(seed=2).assign(kind="large")
    found = lw.latent_report(model, some)
    assert found.reasons == {"kind": "it does not vary"}
    assert "kind: no probe, it does not vary" in str(found)


def test_blanks_are_states_that_can_change():
    records = frame().assign(gap=np.where(frame()["side"] > 0, np.nan, frame()["alone"]))
    found = lw.latent_report(Whitening(components=4, random_state=0).fit(records), records)
    assert np.isfinite(found.effects).all()
    assert found.effects[:, found.columns.index("gap")].max() > 0.2


def test_at_most_so_many_records_are_looked_at(model):
    found = lw.latent_report(model, frame(), max_records=100)
    assert (found.records, found.tested) == (100, 50)


def test_only_the_columns_that_are_named_are_probed(model):
    found = lw.latent_report(model, frame(), columns=["alone"])
    assert [one.column for one in found.probes] == ["alone"]
    assert found.effects.shape == (9, 4)
    with pytest.raises(DataError, match="'width'"):
        lw.latent_report(model, frame(), columns=["width"])


def test_families_without_latents_and_too_few_records_are_refused(model):
    network = lw.BayesianNetwork(random_state=0).fit(frame(60))
    with pytest.raises(NotSupported, match="BayesianNetwork has no latents"):
        lw.latent_report(network, frame(60))
    with pytest.raises(DataError, match="19 records; expected at least 20"):
        lw.latent_report(model, frame(19))
    with pytest.raises(DataError, match="inconsistent numbers"):
        lw.latent_report(model, frame(60), [0, 1])
