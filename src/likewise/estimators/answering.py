"""Questions that users ask of a fitted model: the methods of estimators whose families are `Answering`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pandas import DataFrame
from sklearn.utils.validation import check_is_fitted

from likewise.domains.domain import Domain
from likewise.estimators import questions
from likewise.estimators.questions import Array, MostProbable
from likewise.families.family import Family


class AnsweringMixin:
    """Questions in the user's words to a family that is `Answering`; a base of its estimator beside `Generative`."""

    domain_: Domain
    family_: Family

    def states_of(self, target: str) -> list[Any]:
        """The labels of the states of a column, in the order of `posterior`.

        A category or another single value stands for itself, None for *missing*, and a tuple `(low, high)` for the
        values between, None being an open end. Each can be given as evidence.

        Examples
        --------
        >>> import likewise as lw
        >>> records = {"wet": ["yes", "no", "no", "no"] * 25, "rain": ["yes", "no", "no", "yes"] * 25}
        >>> lw.BayesianNetwork(random_state=0).fit(records).states_of("rain")
        ['no', 'yes']
        """
        check_is_fitted(self, "family_")
        return questions.labels(self, questions.entries(self, target)[0])

    def posterior(
        self,
        records: Any,
        targets: str | Sequence[str] | None = None,
        *,
        do: Mapping[str, Any] | None = None,
        method: Literal["exact", "likelihood_weighting", "loopy"] = "exact",
        draws: int = 10_000,
        random_state: Any = None,
    ) -> dict[str, Array]:
        """How probable each state of each target is in each row of evidence.

        Parameters
        ----------
        records : records, or a mapping
            Records give a row of evidence each; a blank cell is unknown, as are columns that are not there. A mapping
            is one row: column -> a value, a set, an interval `(low, high)`, or a mapping of states to how well each
            agrees with what was noticed (soft evidence: Pearl 1988, section 2.2.2).
        targets : column or columns
            None for all.
        do : mapping of columns to values, optional
            What is set from outside in every row: it says nothing of what the column usually depends on (Pearl 2000).
        method : "exact", "likelihood_weighting" or "loopy"
            For networks that are too wide for exact answers: weighted draws (Fung and Chang 1990), or messages passed
            around until they settle (Murphy, Weiss and Jordan 1999), which come with no guarantee.
        draws : int
            Of likelihood weighting, for each row.
        random_state : int, RandomState or None
            Of likelihood weighting.

        Returns
        -------
        dict of str -> float64 array (rows, states)
            Rows add up to 1; see `states_of` for the labels. A column that a row observes has probability 1 there.

        Raises
        ------
        DataError
            Where what bears on a target in the evidence of a row is impossible, naming the row, or a column is unknown.
        NotSupported
            Of a `BayesianNetwork`: where the answer needs more than `max_memory`, saying how much, or, with
            values="linear_gaussian", has no closed form; with structure="hidden_tree" for `do`, and for any method but
            "exact".

        Examples
        --------
        >>> import likewise as lw
        >>> records = {"wet": ["yes", "no", "no", "no"] * 25, "rain": ["yes", "no", "no", "yes"] * 25}
        >>> model = lw.BayesianNetwork(structure=[("rain", "wet")], random_state=0).fit(records)
        >>> model.posterior({"wet": ["no", "yes"]}, "rain")["rain"].shape
        (1, 2)
        """
        check_is_fitted(self, "family_")
        at = questions.entries(self, targets)
        asked = questions.question(self, records, do)
        if method == "exact":
            found = questions.posterior(self, asked, at)
        else:
            found = questions.approximate_posterior(self, asked, at, method, draws, random_state)
        return dict(zip((questions.columns(self)[i] for i in at), found, strict=True))

    def most_probable(
        self, records: Any, targets: str | Sequence[str] | None = None, *, do: Mapping[str, Any] | None = None
    ) -> MostProbable:
        """The states of the targets that are jointly most probable in each row of evidence.

        Parameters
        ----------
        records, do : as for `posterior`
        targets : column or columns
            None for all columns (the most probable explanation); otherwise the others are summed out (MAP).

        Returns
        -------
        MostProbable
            `states`, a DataFrame of labels, and `log_probability` given the evidence.

        Raises
        ------
        DataError, NotSupported
            As for `posterior`. Of a `BayesianNetwork` with structure="hidden_tree" also for more than one target that
            is not observed in every row: such trees know the most probable state of one column at a time.
        """
        check_is_fitted(self, "family_")
        at = questions.entries(self, targets)
        return questions.most_probable(self, questions.question(self, records, do), at)

    def query(
        self, target: str, given: Mapping[str, Any] | None = None, *, do: Mapping[str, Any] | None = None
    ) -> DataFrame:
        """The probability of each state of a column, and what it would be if nothing were known.

        Parameters
        ----------
        target : column
        given, do : mappings
            As for `posterior`.

        Examples
        --------
        >>> import likewise as lw
        >>> records = {"wet": ["yes", "no", "no", "no"] * 25, "rain": ["yes", "no", "no", "yes"] * 25}
        >>> model = lw.BayesianNetwork(structure=[("rain", "wet")], random_state=0).fit(records)
        >>> model.query("rain", given={"wet": "yes"})["probability"].round(2).to_dict()
        {'no': 0.01, 'yes': 0.99}
        """
        check_is_fitted(self, "family_")
        return questions.table(self, target, questions.question(self, given, do))

    def value_of_information(
        self,
        target: str,
        given: Mapping[str, Any] | None = None,
        columns: Sequence[str] | None = None,
        *,
        do: Mapping[str, Any] | None = None,
    ) -> DataFrame:
        """Which column that is not yet known would change the answer about the target most, in bits.

        Parameters
        ----------
        target : column
        given, do : mappings
            As for `posterior`.
        columns : columns that could be looked up
            None for all.

        Returns
        -------
        DataFrame
            `bits` for each column, the most informative first: the mutual information of target and column given the
            evidence.
        """
        check_is_fitted(self, "family_")
        return questions.value_of_information(self, target, questions.question(self, given, do), columns)

    def explain(self, target: str, given: Mapping[str, Any], *, do: Mapping[str, Any] | None = None) -> DataFrame:
        """Which piece of evidence moved the answer about the target, and by how much.

        Parameters
        ----------
        target : column
        given, do : mappings
            As for `posterior`.

        Returns
        -------
        DataFrame
            For each piece, the most important first: how many bits the answer is away from what it would be without
            that piece; what the piece adds to the probability of the likeliest state; and what it adds by itself.
        """
        check_is_fitted(self, "family_")
        return questions.explanation(self, target, questions.question(self, given, do))
