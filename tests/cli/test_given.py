"""`--given`: what a person writes becomes what they meant."""

from datetime import datetime

import pytest

from likewise.cli.given import parse
from likewise.cli.outcome import Refused

COLUMNS = {"species": "label", "mass": "number", "a=b": "label", "day": "moment", "tagged": "boolean"}


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("species=Adelie", {"species": "Adelie"}),
        (" species = Adelie ", {"species": "Adelie"}),
        ("species=Adelie|Gentoo", {"species": ["Adelie", "Gentoo"]}),
        ("species=", {"species": [None]}),
        ("species=Adelie|", {"species": ["Adelie", None]}),
        ("species=a..b", {"species": "a..b"}),
        ("mass=3000", {"mass": 3000}),
        ("mass=3000..4000", {"mass": (3000, 4000)}),
        ("mass=-2.5..-.5", {"mass": (-2.5, -0.5)}),
        ("mass=..4000", {"mass": (None, 4000)}),
        ("mass=3000..", {"mass": (3000, None)}),
        ("mass=1..2|5..6|9", {"mass": [(1, 2), (5, 6), 9]}),
        ("day=2020-01-01..2020-02-01", {"day": (datetime(2020, 1, 1), datetime(2020, 2, 1))}),
        ("day=2020-01-01T12:30", {"day": datetime(2020, 1, 1, 12, 30)}),
        ("day=tomorrow", {"day": "tomorrow"}),
        ("mass=3e3", {"mass": 3000.0}),
        ("mass=heavy", {"mass": "heavy"}),
        ("mass=inf", {"mass": "inf"}),
        ("tagged=True", {"tagged": True}),
        ("tagged=no|", {"tagged": [False, None]}),
        ("a=b=c", {"a=b": "c"}),
        ("species=x=y", {"species": "x=y"}),
    ],
)
def test_words_become_evidence(word, meaning):
    assert parse([word], COLUMNS) == meaning


@pytest.mark.parametrize(
    ("words", "told"),
    [(["species"], "says nothing"), (["genus=Pygoscelis"], "no column 'genus'"), (["mass=1", "mass=2"], "twice")],
)
def test_words_that_mean_nothing_are_refused(words, told):
    with pytest.raises(Refused, match=told):
        parse(words, COLUMNS)
