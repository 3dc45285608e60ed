"""Any family that is `Answering` is asked in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from likewise.domains.table import Table
from likewise.errors import DataError
from likewise.estimators.answering import AnsweringMixin
from likewise.events import Batch, Event, State, Status
from likewise.families.family import Family, Question


class Shares(Family):
    """Columns that know nothing of each other: the first state of each is as probable as all others together."""

    def __init__(self, event: Event) -> None:
        super().__init__(event, {})

    def sample(self, size: int, generator: torch.Generator) -> Batch:
        raise NotImplementedError

    def states(self, entry: int) -> list[State]:
        return [State(code) for code in range(self.event.all[entry].seen)]

    def posterior(self, question: Question, targets: Sequence[int]) -> list[Tensor]:
        found = []
        for i in targets:
            count = len(self.states(i))
            chance = torch.tensor([0.5] + [0.5 / (count - 1)] * (count - 1), dtype=torch.float64)
            chance = (chance * question.likelihoods[i]) if i in question.likelihoods else chance
            known = question.evidence.status[:, i] == Status.OBSERVED
            codes = torch.nn.functional.one_hot(question.evidence.codes[:, i], count).double()
            found.append(torch.where(known[:, None], codes, chance / chance.sum(-1, keepdim=True)))
        return found

    def most_probable(self, question: Question, targets: Sequence[int]) -> tuple[Tensor, Tensor]:
        best = torch.stack([part.max(1).values for part in self.posterior(question, targets)])
        states = torch.stack([part.argmax(1) for part in self.posterior(question, targets)], 1)
        return states, best.log().sum(0)


class Model(AnsweringMixin, BaseEstimator):
    def fit(self, X: pd.DataFrame) -> Self:
        self.domain_ = Table()
        source = self.domain_.read(X)
        self.domain_.fit(source, None)
        self.family_ = Shares(self.domain_.event)
        return self


@pytest.fixture
def model() -> Model:
    return Model().fit(pd.DataFrame({"a": ["x", "y", "z"] * 20, "b": ["u", "v"] * 30}))


def test_every_question_reaches_the_family(model: Model) -> None:
    assert model.states_of("a") == ["x", "y", "z"]
    rows = pd.DataFrame({"a": ["y", None], "b": [None, "v"]})
    found: dict[str, Any] = model.posterior(rows)
    assert found["a"].tolist() == [[0, 1, 0], [0.5, 0.25, 0.25]]
    assert found["b"].tolist() == [[0.5, 0.5], [0, 1]]
    best = model.most_probable(rows, "a")
    assert best.states["a"].tolist() == ["y", "x"]
    assert model.query("a", {"a": {"y": 2.0, "z": 1.0}})["probability"].to_dict() == pytest.approx(
        {"x": 0, "y": 2 / 3, "z": 1 / 3}
    )
    assert model.value_of_information("a")["bits"].to_dict() == {"b": 0.0}
    assert model.explain("a", {"b": "v"})["bits"].to_dict() == {"b": 0.0}


def test_a_family_without_approximations_says_so(model: Model) -> None:
    with pytest.raises(DataError, match="method='loopy'; expected 'exact'"):
        model.posterior({}, method="loopy")
