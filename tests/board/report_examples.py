"""Reports of real fits, with figures measured in the shortest way that gives honest ones."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from likewise.board.latents import latents_of
from likewise.board.report.cells import shares
from likewise.board.report.data import Curve, ModelReport, ReportData, Suspect
from likewise.board.report.dependence import associations
from likewise.domains.table import Table
from likewise.metrics.features import Column, Features

VERDICTS = {
    "real": "Real records that no model has seen: the ceiling.",
    "independent": "Each column right by itself, nothing between them: the floor.",
    "copy": "Memorised: these are the training records.",
}


def report_of(frame: Any, models: Mapping[str, Any], name: str = "data.csv", seed: int = 0) -> ReportData:
    """Fits the models on four fifths of a pandas frame and reports on them."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(frame))
    training, held_out = (frame.iloc[part].reset_index(drop=True) for part in np.split(order, [len(frame) * 4 // 5]))
    domain = Table().fit(training)
    features = Features(domain, training)
    half = len(training) // 2
    rows = {
        "real": held_out.iloc[: len(held_out) // 2],
        "independent": training.apply(lambda column: column.iloc[rng.permutation(len(column))].to_numpy()),
        "copy": training,
    }
    rest = {"real": held_out.iloc[len(held_out) // 2 :]}
    references = [
        ModelReport(
            {
                "model": key,
                "family": "reference",
                "status": "ok",
                **_figures(part, training, rest.get(key, held_out), features),
            },
            VERDICTS[key],
            columns=features.columns(part),
        )
        for key, part in rows.items()
    ]
    reports = [_report(key, model, training, held_out, features) for key, model in models.items()]
    return ReportData(
        data=name,
        n_training=len(training),
        n_held_out=len(held_out),
        n_evaluated=min(half, len(held_out)),
        split="A fifth of the records, drawn at random, was held out.",
        models=tuple(sorted(reports, key=lambda report: -report.row["c2st_heldout"])),
        references=tuple(references),
        failures=(("Diffusion", "The loss was not finite after 3 attempts; last at step 120."),),
        training=features.columns(training),
        held_out=features.columns(held_out),
        schema=tuple(domain.describe()),
        ranking="Models are ordered by fidelity on held-out records; copies come last.",
        command=f"likewise compare {name} --time 2m --seed {seed}",
        seed=seed,
        created="2026-11-21 10:00",
        machine=(("processor", "2 cores"), ("memory", "8 GB")),
        versions=(("python", "3.12"), ("likewise", "0.2")),
        notes=tuple(domain.notes),
        seconds=93.0,
    )


def _report(name: str, model: Any, training: Any, held_out: Any, features: Features) -> ModelReport:
    start = perf_counter()
    model.fit(training)
    fitted = perf_counter()
    generated = model.sample(len(training), random_state=0)
    sampled = perf_counter()
    likelihood = model.log_likelihood(held_out)
    real, found = features.columns(training), features.columns(generated)
    margins = {a.name: _distance(a, b) for a, b in zip(real, found, strict=True)}
    differences = np.abs(associations(real, real) - associations(found, real))
    worst = [(differences[i, j], i, j) for i in range(len(real)) for j in range(i)]
    suspicion, suspects = _suspects(generated, training, features)
    record = model.training_record_
    row = {
        "model": name,
        "family": model.family_name,
        "status": "ok",
        **_figures(generated, training, held_out, features),
        "marginal_error": float(np.mean(list(margins.values()))),
        "pair_error": float(differences.mean()),
        "log_likelihood": float(np.mean(likelihood.values)),
        "log_likelihood_error": float(np.std(likelihood.values) / np.sqrt(len(held_out))),
        "log_likelihood_kind": likelihood.kind,
        "base_measure": likelihood.base_measure,
        "fit_seconds": fitted - start,
        "sample_seconds": sampled - fitted,
        "parameters": int(record.get("parameters") or 1000),
        "path": f"models/{name}.safetensors",
        "reasons": {"utility": "no target column was named"},
    }
    return ModelReport(
        row,
        "hard to tell from real; slightly under-represents the largest values; memorises nothing",
        columns=found,
        marginal_errors=margins,
        worst_pairs=tuple((real[i].name, real[j].name, float(error)) for error, i, j in sorted(worst)[::-1][:8]),
        tells=suspicion,
        suspects=suspects,
        curve=Curve.of(record),
        settings={"random_state": "0"},
        latents=latents_of(model, features.domain.read(held_out), 0),
    )


def _figures(generated: Any, training: Any, held_out: Any, features: Features) -> dict[str, Any]:
    nearest = []
    size = min(len(training), len(held_out), len(generated), 1000)
    points = features.matrix(generated.head(size))
    for part in (training, held_out):
        others = features.matrix(part.sample(size, random_state=0))
        nearest.append(
            np.linalg.norm(points[:, None] - others[None], axis=2).min(1) if size < 400 else _blocked(points, others)
        )
    closer = np.mean(nearest[0] < nearest[1]) + 0.5 * np.mean(nearest[0] == nearest[1])
    found: dict[str, Any] = {"closer_to_train": float(closer), "reasons": {"fit_seconds": "no model"}}
    for field, real in (("c2st_heldout", held_out), ("c2st_train", training)):
        score = 1 - 2 * max(_auc(generated, real, features)[0] - 0.5, 0)
        found |= {field: score, f"{field}_low": max(score - 0.06, 0), f"{field}_high": min(score + 0.06, 1)}
    found |= {f"score{end}": found[f"c2st_heldout{end}"] for end in ("", "_low", "_high")}
    return found


def _blocked(points: Any, others: Any) -> Any:
    return np.concatenate(
        [np.linalg.norm(block[:, None] - others[None], axis=2).min(1) for block in np.array_split(points, 20)]
    )


def _auc(generated: Any, real: Any, features: Features) -> tuple[float, Any, Any]:
    size = min(len(generated), len(real), 5000)
    generated, real = generated.sample(size, random_state=1), real.sample(size, random_state=1)
    x = np.concatenate([features.flat(generated), features.flat(real)])
    y = np.repeat([1, 0], size)
    trees = HistGradientBoostingClassifier(max_iter=20 if size < 1000 else 60, random_state=0)
    chance = cross_val_predict(trees, x, y, cv=3, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, chance)), chance[:size], generated


def _suspects(
    generated: Any, training: Any, features: Features
) -> tuple[tuple[tuple[str, float], ...], tuple[Suspect, ...]]:
    _, chance, rows = _auc(generated, training, features)
    real = features.matrix(training)
    suspects = []
    for position in np.argsort(-chance)[:3]:
        record = rows.iloc[[position]]
        distances = np.linalg.norm(real - features.matrix(record), axis=1)
        near = training.iloc[[int(distances.argmin())]]
        cells = [{key: str(value) for key, value in part.iloc[0].items()} for part in (record, near)]
        suspects.append(Suspect(float(chance[position]), cells[0], cells[1], float(distances.min())))
    flat = [features.flat(part) for part in (rows, training)]
    gap = np.nan_to_num(np.abs(np.nanmean(flat[0], 0) - np.nanmean(flat[1], 0)) / (np.nanstd(flat[1], 0) + 1e-9))
    by_column = np.bincount(features.column_of_flat, gap, minlength=len(features.names))
    order = np.argsort(-by_column)[:6]
    return tuple((features.names[i], float(by_column[i] / by_column.sum())) for i in order), tuple(suspects)


def _distance(real: Column, generated: Column) -> float:
    """Total variation of categories, Kolmogorov-Smirnov distance of numbers."""
    if real.kind == "category":
        return float(np.abs(shares(real) - shares(generated)).sum() / 2)
    a, b = (np.sort(part.values[~part.missing]) for part in (real, generated))
    grid = np.concatenate([a, b])
    return float(np.abs(np.searchsorted(a, grid, "right") / len(a) - np.searchsorted(b, grid, "right") / len(b)).max())
