"""The contract every family keeps towards users: validates, binds domain, family and engine; computes nothing."""

from __future__ import annotations

import copy
import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from likewise.domains.domain import Domain
from likewise.domains.table import Table
from likewise.engine.plan import Plan, seconds
from likewise.errors import DataError
from likewise.estimators import files, fitting, latents, sampling, scoring
from likewise.estimators.capabilities import needs, require, require_setting
from likewise.estimators.randomness import generator_from, seed_from
from likewise.estimators.sampling import ConditionalSample
from likewise.estimators.validation import check_fraction, check_labels, check_positive, check_records
from likewise.events import Batch, Scores
from likewise.families.family import Borrower, Conditional, Density, Family, Latent
from likewise.families.registry import family_class

Array = np.ndarray[Any, np.dtype[np.float64]]


class Generative(BaseEstimator, ABC):
    """A model of the distribution of records; the base of one thin class a family.

    A subclass names its family, stores its own hyper-parameters and says how they become the settings of the family and
    the plan of the fit. All of these are stored, none is looked at, before `fit`.

    Attributes
    ----------
    domain_ : Domain
        The schema, learned from training records.
    family_ : Family
        The fitted distribution, a `torch.nn.Module`.
    training_record_ : dict
        How the fit went, as JSON data.
    seed_ : int
        The seed of the fit, and of the noise of stochastic scores.
    n_features_in_ : int
    feature_names_in_ : array of str
        Where the records have names.
    """

    family_name: ClassVar[str]

    domain_: Domain
    family_: Family
    training_record_: dict[str, Any]
    seed_: int
    partial_seeds_: list[int]
    n_features_in_: int

    # What every estimator's constructor stores besides the hyper-parameters of its family.
    max_time: float | str | None
    max_steps: int | None
    validation_fraction: float
    random_state: Any
    device: str
    domain: Domain | None
    checkpoint: str | os.PathLike[str] | None
    resume: bool
    verbose: int

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """The family's settings."""

    def _named_alike(self) -> dict[str, Any]:
        """The hyper-parameters that the family knows by the same name."""
        known = inspect.signature(self.family_class()).parameters
        return {name: value for name, value in self.get_params(deep=False).items() if name in known}

    def _plan(self) -> Plan:
        """How the fit is run; families with hyper-parameters of learning add theirs."""
        return Plan(
            max_time=None if self.max_time is None else seconds(self.max_time),
            max_steps=None if self.max_steps is None else check_positive("max_steps", self.max_steps),
            device=self.device,
        )

    @classmethod
    def family_class(cls) -> type[Family]:
        """The class of the family; what it implements decides which methods exist."""
        return family_class(cls.family_name)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        tags.input_tags.allow_nan = True
        tags.target_tags.required = False
        return tags

    # -------------------------------------------------------------------------------------------------------- learning

    def fit(self, X: Any, y: Any = None, *, conditional: bool = False) -> Self:
        """Learns the distribution of records, and of their labels where given, or of records given their labels.

        Parameters
        ----------
        X : records
            A pandas, polars or arrow frame, an array, a dict of columns, a list of dicts, the path of a CSV or Parquet
            file, or the name of one of scikit-learn's bundled sets. A blank cell is observed to be missing.
        y : labels of the records, optional
            They become a part of the event: `given={"label": ...}` conditions on them (by their name, where they have
            one), and scoring without them sums them out.
        conditional : bool
            Whether to learn p(x | y) rather than p(x, y): what is learned does not depend on how often a label stood
            among the training records. Scores with labels are log p(x | y). Samples without labels given have them as
            often as they stood there.

        Returns
        -------
        self

        Raises
        ------
        DataError
            Naming the column, the row and what was expected.
        NotSupported
            When the family cannot learn p(x | y), naming those that can.
        TrainingDiverged
            When the loss explodes again and again.
        """
        return self._fit(X, y, conditional)

    def partial_fit(self, X: Any, y: Any = None, *, conditional: bool = False) -> Self:
        """Fits on the first call; later calls go on learning from more records of the same schema.

        A family learned by gradients goes on from its present weights, one learned by counting adds to its counts.
        Blank cells are observed to be missing, as in `fit`.

        Parameters
        ----------
        X, y : as for `fit`
        conditional : bool
            As for `fit`, in the first call; later ones go on as it began.

        Returns
        -------
        self
        """
        if not hasattr(self, "family_"):
            return self._fit(X, y, conditional)
        source, labels = self._read(X, y)
        seed = seed_from((self.seed_ + len(self.partial_seeds_) + 1) % 2**63)
        parts = fitting.split(len(source), check_fraction("validation_fraction", self.validation_fraction), seed)
        batches = fitting.encode_parts(self.domain_, source, labels, parts)
        family = copy.deepcopy(self.family_, {id(self.family_.event): self.family_.event})
        record = self._learn(family, batches, seed, partial=True)
        self.family_, self.training_record_ = family, record
        self.partial_seeds_ = [*self.partial_seeds_, seed]
        return self

    def _fit(self, X: Any, y: Any, conditional: bool) -> Self:
        settings = self._settings()
        if conditional:
            require_setting(self, "conditional", "fit(X, y, conditional=True)")
            settings["conditional"] = True
        fraction = check_fraction("validation_fraction", self.validation_fraction)
        if self.resume and self.random_state is None:
            raise DataError("resume=True needs random_state, a whole number: only the same fit can be resumed.")
        domain = Table() if self.domain is None else copy.deepcopy(self.domain)
        seed = seed_from(self.random_state)
        records = check_records(X, self, fitted=False)
        source = domain.read(records)
        labels = None if y is None else check_labels(y, len(source))
        parts = fitting.split(len(source), fraction, seed)
        training = source.rows(parts[0])
        domain.fit(training, None if labels is None else fitting.take(labels, parts[0]))
        batches = fitting.encode_parts(domain, source, labels, parts)
        family = fitting.build(self.family_class(), domain.event, settings, seed)
        record = self._learn(family, batches, seed, partial=False)
        names = None if isinstance(records, np.ndarray) else list(source.names)
        self._adopt(domain, family, seed, record, len(source.names), names)
        return self

    def _learn(self, family: Family, batches: tuple[Batch, Batch], seed: int, *, partial: bool) -> dict[str, Any]:
        record = fitting.learn(
            family,
            batches,
            self._plan(),
            seed,
            checkpoint=None if self.checkpoint is None else Path(self.checkpoint),
            resume=self.resume and not partial,
            verbose=self.verbose,
            partial=partial,
        )
        family.eval()
        return {**record, "train_records": len(batches[0]), "held_out_records": len(batches[1])}

    def _adopt(
        self, domain: Domain, family: Family, seed: int, record: dict[str, Any], count: int, names: list[str] | None
    ) -> None:
        """Becomes fitted with these parts."""
        self.domain_, self.family_, self.seed_, self.training_record_ = domain, family, seed, record
        self.partial_seeds_ = []
        self.n_features_in_ = count
        if names is not None:
            self.feature_names_in_ = np.asarray(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    # --------------------------------------------------------------------------------------------------------- scoring

    @needs(Density)
    def log_likelihood(self, X: Any, y: Any = None) -> Scores:
        """Log-likelihoods with their kind, base measure and standard error.

        Parameters
        ----------
        X : records
            A blank cell is observed to be missing where the column had blanks in `fit`.
        y : labels, optional
            Where the model was fitted with labels: with `y` this is log p(x, y), or log p(x | y) after a fit
            with `conditional=True`; without it they are summed out.

        Returns
        -------
        Scores
            In nats, of densities in the units of the records.

        Examples
        --------
        >>> import likewise as lw
        >>> records = {"size": [1.5, 2.25, 3.0, 2.5] * 5, "kind": ["a", "b", "b", "a"] * 5}
        >>> scores = lw.BayesianNetwork(random_state=0).fit(records).log_likelihood(records)
        >>> scores.kind, len(scores)
        ('exact', 20)
        """
        check_is_fitted(self, "family_")
        source, labels = self._read(X, y)
        return scoring.score(self.family_, self.domain_.encode(source, labels), self.seed_)

    @needs(Density)
    def score_samples(self, X: Any, y: Any = None) -> Array:
        """log p(x) of each record in nats and in the units of the records: a float64 array (n,).

        Parameters
        ----------
        X, y : as for `log_likelihood`
            A blank cell is observed to be missing where the column had blanks in `fit`.
        """
        return self.log_likelihood(X, y).values

    @needs(Density)
    def score(self, X: Any, y: Any = None) -> float:
        """The mean log-likelihood of the records, in nats.

        Parameters
        ----------
        X, y : as for `log_likelihood`
            A blank cell is observed to be missing where the column had blanks in `fit`.
        """
        return self.log_likelihood(X, y).mean

    # -------------------------------------------------------------------------------------------------------- sampling

    def sample(
        self, n_samples: int = 1, random_state: Any = None, given: Mapping[str, Any] | None = None, labels: bool = False
    ) -> Any:
        """New records of the kind that was fitted: same columns, dtypes, categories, decimals.

        Parameters
        ----------
        n_samples : int
        random_state : int, RandomState or None
            None draws anew each time.
        given : mapping of columns to a value, a set of values or an interval `(low, high)`, optional
            What the records have to satisfy. Columns that are not named are unknown. Labels are the column "label", or
            what the Series of labels was called.
        labels : bool
            Whether to return a pair, the records and their labels. Needs a model that was fitted with labels.

        Returns
        -------
        records, or (records, labels)

        Raises
        ------
        DataError
            When `given` names no column of the records, or asks for what none of them can be.
        NotSupported
            When the family cannot sample under this evidence, naming one that can.

        Examples
        --------
        >>> import likewise as lw
        >>> records = {"size": [1.5, 2.25, 3.0, 2.5] * 5, "kind": ["a", "b", "b", "a"] * 5}
        >>> model = lw.BayesianNetwork(random_state=0).fit(records)
        >>> model.sample(3, random_state=0, given={"kind": "b"})["kind"]
        ['b', 'b', 'b']
        """
        check_is_fitted(self, "family_")
        size = check_positive("n_samples", n_samples)
        if labels and not self.domain_.event.labels:
            raise DataError("labels=True needs a model that was fitted with labels, fit(X, y).")
        if given is not None:
            if not isinstance(given, Mapping):
                raise DataError("given must map columns to values, sets or intervals: conditional() takes records.")
            require(self, Conditional, "sampling under evidence")
            found = self._conditional(given, size, generator_from(random_state))
            return (found.records, found.labels) if labels else found.records
        generator = generator_from(random_state)
        batch = sampling.draw(self.family_.sample, size, generator)
        records = self.domain_.decode(batch, generator)
        return (records, self.domain_.decode_labels(batch, generator)) if labels else records

    @needs(Borrower)
    def sample_borrowed(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Records of what the model borrows from another family, by itself: the figure that its own must beat.

        For `GAN` this is the start that was counted: a tree of pairs, or columns by themselves. For `Flow` it is its
        factor of codes, with values drawn column by column, for `VAE` the plain autoencoder, whose latents are standard
        normal, and for `EnergyModel` its base.

        Parameters
        ----------
        n_samples : int
        random_state : int, RandomState or None
            None draws anew each time.

        Examples
        --------
        >>> import likewise as lw
        >>> model = lw.GAN(width=16, critic_width=16, max_steps=10, random_state=0).fit(lw.datasets.load("wine"))
        >>> model.sample_borrowed(3, random_state=0).shape
        (3, 14)
        """
        check_is_fitted(self, "family_")
        assert isinstance(self.family_, Borrower)
        generator = generator_from(random_state)
        batch = sampling.draw(self.family_.sample_borrowed, check_positive("n_samples", n_samples), generator)
        return self.domain_.decode(batch, generator)

    @needs(Conditional)
    def conditional(self, evidence: Any, draws: int = 1, random_state: Any = None) -> ConditionalSample:
        """Records drawn from the distribution given evidence.

        Parameters
        ----------
        evidence : mapping or records
            A mapping of columns to a value, a set of values or an interval `(low, high)` is one row of evidence;
            records with blanks are a row each, and here a blank cell is unknown, as are columns that are not named.
        draws : int
            Records for each row of evidence.
        random_state : int, RandomState or None

        Returns
        -------
        ConditionalSample
            Cells given as values come back as they were.

        Raises
        ------
        DataError, NotSupported
            As for `sample`.
        """
        check_is_fitted(self, "family_")
        return self._conditional(evidence, check_positive("draws", draws), generator_from(random_state))

    def _conditional(self, evidence: Any, draws: int, generator: torch.Generator) -> ConditionalSample:
        if not isinstance(evidence, Mapping):
            evidence = self.domain_.read(check_records(evidence, self, fitted=True))
        return sampling.conditional(self.family_, self.domain_, evidence, draws, generator)

    # ---------------------------------------------------------------------------------------------------------- latents

    @needs(Latent)
    def encode(self, X: Any, y: Any = None) -> Array:
        """The latent coordinates of records, a float64 array (n, d): the same every time.

        Parameters
        ----------
        X : records
            A blank cell is observed to be missing.
        y : labels, optional
            Where the model was fitted with labels; without them they are unknown.
        """
        check_is_fitted(self, "family_")
        source, labels = self._read(X, y)
        return latents.encode(self.family_, self.domain_.encode(source, labels))

    @needs(Latent)
    def decode(self, Z: Any, random_state: Any = 0) -> Any:
        """The records at latent coordinates.

        Parameters
        ----------
        Z : array (n, d)
        random_state : int, RandomState or None
            For what the model does not know and is made up anew, such as identifiers.

        Raises
        ------
        DataError
            When there are not d coordinates a record, or one of them is not finite.
        """
        check_is_fitted(self, "family_")
        return self.domain_.decode(latents.decode(self.family_, Z), generator_from(random_state))

    @needs(Latent)
    def interpolate(self, a: Any, b: Any, steps: int = 9, path: latents.Path = "linear", random_state: Any = 0) -> Any:
        """The records at `steps` points of latent space on the way from each record of `a` to its one in `b`.

        Parameters
        ----------
        a, b : records, as many of one as of the other
        steps : int
            At least 2: the ends are counted. The steps of one pair follow each other.
        path : "linear" or "spherical"
            A straight line; or the great circle between the directions of the two, while the norm goes from one to the
            other (Shoemake 1985; White 2016).
        random_state : int, RandomState or None
            As in `decode`.

        Examples
        --------
        >>> import likewise as lw
        >>> records = lw.datasets.load("iris")
        >>> model = lw.VAE(latent=2, width=8, hidden=8, layers=1, max_steps=5, random_state=0).fit(records)
        >>> len(model.interpolate(records[:2], records[50:52], steps=5))
        10
        """
        start, end = self.encode(a), self.encode(b)
        points = latents.path(start, end, check_positive("steps", steps), path)
        return self.decode(points.reshape(-1, start.shape[1]), random_state)

    # ------------------------------------------------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the fitted model to one `.safetensors` file, atomically. Nothing in it is code.

        Parameters
        ----------
        path : str or path
            Overwritten if it exists.
        """
        check_is_fitted(self, "family_")
        files.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The fitted model in a file that `save` wrote.

        Raises
        ------
        ModelFileError
            When the file cannot be read as a model, or is a model of another family.
        """
        return files.load_as(cls, path)

    def _read(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Records and labels of the learned schema, read and checked."""
        source = self.domain_.read(check_records(X, self, fitted=True))
        if not len(source):
            raise DataError("The records have no rows (0 sample(s)) while a minimum of 1 is required.")
        if y is not None and not self.domain_.event.labels:
            raise DataError("The model was fitted without labels: pass none, or fit it with them.")
        return source, None if y is None else check_labels(y, len(source))
