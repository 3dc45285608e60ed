"""Latents as users meet them: what a model encodes it decodes, paths are what geometry says, errors say what to do."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from whitening import Whitening, registered

import likewise as lw
from likewise.errors import DataError
from likewise.estimators import latents
from likewise.estimators.checks import check_generative


def frame(size=200):
    noise = np.random.default_rng(0)
    side = noise.normal(size=size)
    kind = np.where(side > 0, "large", "small")
    return pd.DataFrame({"side": side, "area": 2 * side + 0.1 * noise.normal(size=size), "kind": kind})


@pytest.fixture(scope="module")
def model():
    return Whitening(components=3, random_state=0).fit(frame())


def test_a_family_with_latents_keeps_the_contract():
    with registered():
        check_generative(Whitening(), frame(60))
        check_generative(Whitening(), frame(60)[["side", "kind"]], pd.Series(["a", "b", "c"] * 20, name="label"))


def test_families_without_latents_have_none_of_the_methods():
    for method in ("encode", "decode", "interpolate"):
        assert not hasattr(lw.BayesianNetwork(), method)
        assert hasattr(Whitening(), method)


def test_latents_of_training_records_are_white(model):
    found = Whitening(components=3, validation_fraction=0, random_state=0).fit(frame()).encode(frame())
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(found.T, bias=True), np.eye(3), atol=1e-6)


def test_as_many_components_as_there_are_give_records_back():
    records = frame()
    back = Whitening(components=4, random_state=0).fit(records)
    found = back.decode(back.encode(records))
    assert (found["kind"] == records["kind"]).all()
    np.testing.assert_allclose(found["side"], records["side"], atol=1e-3)
    np.testing.assert_allclose(found["area"], records["area"], atol=1e-3)


def test_tiles_change_nothing(model, monkeypatch):
    whole = model.encode(frame()), model.decode(np.eye(3))
    monkeypatch.setattr(latents, "TILE", 2)
    np.testing.assert_allclose(model.encode(frame()), whole[0], rtol=0, atol=1e-12)
    pd.testing.assert_frame_equal(model.decode(np.eye(3)), whole[1])


def test_labels_are_encoded_where_they_are_given():
    labels = pd.Series(np.where(frame()["side"] > 1, "yes", "no"), name="told")
    labelled = Whitening(components=4, random_state=0).fit(frame(), labels)
    assert not np.allclose(labelled.encode(frame()), labelled.encode(frame(), labels))
    with pytest.raises(DataError, match="fitted without labels"):
        Whitening(random_state=0).fit(frame()).encode(frame(), labels)


# -------------------------------------------------------------------------------------------------------------- decode


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (np.zeros((4, 2)), r"shape \(4, 2\); expected \(n, 3\)"),
        (np.zeros(3), r"shape \(3,\); expected \(n, 3\)"),
        (np.zeros((0, 3)), r"shape \(0, 3\)"),
        ([[0, 0, math.inf]], "Latent 3 of row 1 is inf; expected finite"),
        ([["a", "b", "c"]], r"array of numbers of shape \(n, 3\)"),
    ],
)
def test_what_is_no_latent_is_named(model, wrong, told):
    with pytest.raises(DataError, match=told):
        model.decode(wrong)


# --------------------------------------------------------------------------------------------------------------- paths


def test_the_ends_of_a_path_are_the_records(model):
    a, b = frame()[:2], frame()[2:4]
    for kind in ("linear", "spherical"):
        found = model.interpolate(a, b, steps=5, path=kind)
        assert len(found) == 10
        pd.testing.assert_frame_equal(found.iloc[[0, 5]].reset_index(drop=True), model.decode(model.encode(a)))
        pd.testing.assert_frame_equal(found.iloc[[4, 9]].reset_index(drop=True), model.decode(model.encode(b)))


def test_a_straight_path_has_equal_steps():
    rng = np.random.default_rng(0)
    points = latents.path(*rng.normal(size=(2, 7, 5)), 6)
    steps = np.diff(points, axis=1)
    np.testing.assert_allclose(steps, steps[:, :1].repeat(5, 1), atol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 50])
def test_a_spherical_path_turns_evenly_in_one_plane_and_its_norm_goes_evenly(size):
    rng = np.random.default_rng(size)
    a, b = rng.normal(size=(2, 4, size)) * np.array([[[1.0]], [[3.0]]])
    points = latents.path(a, b, 9, "spherical")
    norms = np.linalg.norm(points, axis=2)
    np.testing.assert_allclose(norms, np.linspace(norms[:, 0], norms[:, -1], 9).T, rtol=1e-9)
    units = points / norms[..., None]
    turns = [np.arccos((first * last).sum(1).clip(-1, 1)) for first, last in pairwise(units.swapaxes(0, 1))]
    whole = np.arccos((units[:, 0] * units[:, -1]).sum(1))
    np.testing.assert_allclose(turns, np.tile(whole / 8, (8, 1)), rtol=1e-6)
    for row in units:
        assert np.linalg.matrix_rank(row, tol=1e-8) == 2
    np.testing.assert_array_equal(points[:, 0], a)
    np.testing.assert_array_equal(points[:, -1], b)


def test_equal_directions_stay_and_opposite_ones_go_round():
    a = np.array([[1.0, 2.0, 2.0]] * 3 + [[0.0, 0.0, 0.0]])
    b = np.array([[1.0, 2.0, 2.0], [2.0, 4.0, 4.0], [-1.0, -2.0, -2.0], [3.0, 0.0, 4.0]])
    points = latents.path(a, b, 5, "spherical")
    assert np.isfinite(points).all()
    np.testing.assert_allclose(points[0], a[[0]].repeat(5, 0), atol=1e-12)
    np.testing.assert_allclose(points[1], np.linspace(1, 2, 5)[:, None] * a[0], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(points[2], axis=1), 3, atol=1e-9)
    assert abs(points[2, 2] @ a[2]) < 1e-9  # half way it is upright on both
    np.testing.assert_allclose(points[3], np.linspace(0, 1, 5)[:, None] * b[3], atol=1e-12)


def test_one_dimension_has_no_circle():
    found = latents.path(np.array([[-1.0]]), np.array([[2.0]]), 4, "spherical")
    np.testing.assert_allclose(found[0, :, 0], [-1, 0, 1, 2], atol=1e-12)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": 1}, "at least 2"),
        ({"steps": 2.5}, "whole number"),
        ({"path": "curved"}, "'linear' or 'spherical'"),
        ({"b": frame()[:3]}, "a has 2 records and b has 3"),
    ],
)
def test_paths_that_cannot_be_are_refused(model, change, told):
    with pytest.raises(DataError, match=told):
        model.interpolate(**{"a": frame()[:2], "b": frame()[2:4], **change})
