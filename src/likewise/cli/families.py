"""`likewise families`: the taxonomy."""

from __future__ import annotations

from dataclasses import asdict

from likewise.cli.options import Force, Json
from likewise.cli.outputs import check_free, write_json


def families(json: Json = None, force: Force = False) -> None:
    """Say which families of models there are, and what each can do."""
    check_free(json, force)
    from likewise.estimators.taxonomy import families as taxonomy

    cards = taxonomy()
    if json is not None:
        write_json(json, [asdict(card) for card in cards])
        return
    from likewise.cli.tables import grid

    rows = [
        [
            card.name,
            card.estimator,
            f"{card.likelihood}, {card.tractability}" if card.scores else card.likelihood,
            card.density,
            card.sampling,
            card.evidence,
            card.learning,
            ", ".join(card.abilities),
        ]
        for card in cards
    ]
    heads = ["family", "in Python", "likelihood", "density", "sampling", "evidence", "learned by", "can"]
    grid(heads, rows)
