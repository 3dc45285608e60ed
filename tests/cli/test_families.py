"""`likewise families`: the taxonomy says what the classes do."""

import json

from likewise.estimators.taxonomy import ESTIMATORS
from likewise.families.family import Borrower, ClosedFormLearner, Conditional, Density, Latent, Travelling
from likewise.families.registry import family_class


def test_the_taxonomy_is_what_the_families_implement(likewise):
    result = likewise("families", "--json", "-")
    assert result.exit_code == 0, result.output
    cards = json.loads(result.stdout)
    assert [card["name"] for card in cards] == list(ESTIMATORS)
    for card in cards:
        family = family_class(card["name"])
        for claim, protocol in (
            ("scores", Density),
            ("conditions", Conditional),
            ("encodes", Latent),
            ("travels", Travelling),
            ("borrows", Borrower),
            ("closed_form", ClosedFormLearner),
        ):
            assert card[claim] == issubclass(family, protocol), (card["name"], claim)


def test_a_density_is_tractable_where_its_class_promises_exact_scores(likewise):
    for card in json.loads(likewise("families", "--json", "-").stdout):
        kinds = family_class(card["name"]).kinds
        assert (card["likelihood"] == "explicit") == bool(kinds) == card["scores"]
        assert (card["tractability"] == "tractable") == ("exact" in kinds)


def test_the_table_names_every_family(likewise):
    result = likewise("families")
    assert result.exit_code == 0, result.output
    for name, (_, estimator) in ESTIMATORS.items():
        assert name in result.stdout
        assert estimator in result.stdout
