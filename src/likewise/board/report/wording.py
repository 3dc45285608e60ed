"""What the report says in sentences of its own."""

from __future__ import annotations

from likewise.board.report.data import ModelReport, ReportData
from likewise.board.report.measures import plain, value_of

REFERENCE_NAMES = {
    "real": "Fresh real records",
    "independent": "Independent columns",
    "copy": "Copy of the training set",
}

KINDS = {
    "exact": "exact",
    "bound": "a lower bound: the true figure is at least this",
    "estimate": "an estimate",
    "unnormalised": "without its constant: not comparable with others",
}

STOPPED = {
    "max_steps": "ended after the steps it was given",
    "max_time": "ended after the time it was given",
    "plateau": "ended when held-out records no longer improved",
    "worsening": "ended when held-out records became worse",
}


def title_of(model: ModelReport) -> str:
    """The name under which a row is shown."""
    if model.row.get("family") == "reference":
        return REFERENCE_NAMES.get(model.name, model.name)
    return model.name


def lead(data: ReportData) -> str:
    """The finding in a sentence or two."""
    ranked = [model for model in data.models if value_of(model.row, "c2st_heldout") is not None]
    if not ranked:
        return "No model finished."
    best = ranked[0]
    near = [best.name, *(model.name for model in ranked[1:] if _overlap(best, model))]
    score = plain(value_of(best.row, "c2st_heldout") or 0.0)
    if len(near) == 1:
        text = f"{best.name} leads with a fidelity of {score} on held-out records"
    else:
        text = f"{', '.join(near[:-1])} and {near[-1]} lead, within each other’s intervals, at about {score}"
    references = {model.name: value_of(model.row, "c2st_heldout") for model in data.references}
    ceiling, floor = references.get("real"), references.get("independent")
    if ceiling is not None and floor is not None:
        text += f"; fresh real records would have {plain(ceiling)}, independent columns {plain(floor)}"
    return text + "."


def _overlap(best: ModelReport, other: ModelReport) -> bool:
    low, high = value_of(best.row, "c2st_heldout_low"), value_of(other.row, "c2st_heldout_high")
    return low is not None and high is not None and high >= low
