"""What a report shows: the facts of a comparison as texts, numbers and arrays, free of models and data frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.board.titles import row_title, title
from likewise.metrics.features import Column

if TYPE_CHECKING:
    from likewise.tasks.representation import LatentReport

Floats = np.ndarray[Any, np.dtype[np.float64]]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Curve:
    """How a model learned by gradients.

    Attributes
    ----------
    steps : float array (points,)
    losses : player -> float array (points,)
        The mean loss of each player since the point before, NaN where there is none.
    figure : float array (points,)
        The validation figure on held-out training records, lower is better; NaN where it was not measured.
    best_step : int or None
        The step of the weights kept.
    stopped : str
        Why the fit ended: "max_steps", "max_time", "plateau" or "worsening".
    remarks : tuple of str
        What was noticed on the way, such as modes that were lost.
    """

    steps: Floats
    losses: Mapping[str, Floats]
    figure: Floats
    best_step: int | None = None
    stopped: str = ""
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Curve | None:
        """The curve of a model's training record, as JSON data; None where it has fewer than two points.

        Examples
        --------
        >>> points = [{"step": 10, "losses": {"model": 2.0}, "figure": None}]
        >>> points += [{"step": 20, "losses": {"model": 1.0}, "figure": 1.5}]
        >>> Curve.of({"curve": points, "best_step": 20, "stopped": "max_steps"}).figure
        array([nan, 1.5])
        """
        points = record.get("curve", ())
        if len(points) < 2:
            return None
        players = sorted({player for point in points for player in point["losses"]})
        return cls(
            steps=np.array([point["step"] for point in points], np.float64),
            losses={player: _floats(point["losses"].get(player) for point in points) for player in players},
            figure=_floats(point["figure"] for point in points),
            best_step=record.get("best_step"),
            stopped=str(record.get("stopped", "")),
            remarks=tuple(record.get("remarks", ())),
        )


@dataclass(frozen=True)
class Suspect:
    """A generated record that the two-sample classifier took for generated, beside its nearest training record.

    Attributes
    ----------
    suspicion : float
        The classifier's probability, out of fold, that the record is generated.
    record, nearest : column -> text
        Their cells, as a person reads them; "" where missing.
    distance : float or None
        Between the two, in the metrics' space.
    """

    suspicion: float
    record: Mapping[str, str]
    nearest: Mapping[str, str]
    distance: float | None = None


@dataclass(frozen=True, eq=False)
class LatentMap:
    """Held-out records on two dimensions of a latent space.

    Attributes
    ----------
    points : float array (n, 2)
    explained : float
        The share of the latents' variance that these two show.
    principal : bool
        Whether they are principal components of the latents, rather than the latents themselves.
    column : Column or None
        Of the same records: what they are coloured by.
    """

    points: Floats
    explained: float
    principal: bool
    column: Column | None


@dataclass(frozen=True, eq=False)
class Latents:
    """What is told of a model's latents, or the reason why nothing is."""

    report: LatentReport | None = None
    map: LatentMap | None = None
    reason: str = ""


@dataclass(frozen=True)
class NetworkDrawing:
    """A Bayesian network as it is drawn.

    Attributes
    ----------
    names : tuple of str
        Of the nodes.
    edges : tuple of (parent, child)
        Places among the nodes; none of them go round.
    strengths : tuple of float or None
        Of each edge, the bits that the parent tells about the child: their mutual information. None where the network
        does not answer.
    states : tuple of tuple of str
        Labels of each node's states, in their order; none where the network does not answer.
    marginals : tuple of tuple of float
        Their probabilities.
    directed : bool
        Whether edges go from parents to children, or join columns whose hidden states depend on each other.
    found : tuple of (float, float) or None
        Of each edge, the share of bootstrap samples in which its columns were joined, and of these the share in which
        it went this way. None where no samples were drawn.
    resamples : int
        How many bootstrap samples.
    greedy : str
        The greedy search that was done in them where no search has found the graph; otherwise it was the graph's own.
    """

    names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    strengths: tuple[float, ...] | None
    states: tuple[tuple[str, ...], ...]
    marginals: tuple[tuple[float, ...], ...]
    directed: bool = True
    found: tuple[tuple[float, float], ...] | None = None
    resamples: int = 0
    greedy: str = ""


@dataclass(frozen=True)
class HiddenState:
    """A hidden state: the share of the tree's records in it, and what they are like.

    `facts` are (column, typical value, what is to be said beside it), those that set these records apart most first.
    """

    share: float
    facts: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class HiddenStates:
    """The most probable hidden states behind one column of the tree that is drawn.

    Attributes
    ----------
    column : str
    states, trees : int
        Hidden states behind every column of the drawn tree, and trees in the mixture.
    share : float
        The weight of the drawn tree in the mixture.
    told : tuple of HiddenState
        The most probable first.
    """

    column: str
    states: int
    trees: int
    share: float
    told: tuple[HiddenState, ...]


@dataclass(frozen=True)
class Network:
    """The drawing of a model's graph, what is to be said of what is not drawn, and its hidden states if it has any."""

    drawing: NetworkDrawing | None = None
    reason: str = ""
    hidden: HiddenStates | None = None


@dataclass(frozen=True)
class ModelReport:
    """One model, or one of the three reference rows.

    Attributes
    ----------
    row : mapping
        The row of the comparison, as its JSON has it: `model`, `family`, `status`, `c2st_heldout`, `c2st_heldout_low`,
        ..., None where there is no figure, and `reasons` (field -> why). References have `family` "reference" and
        `model` "real", "independent" or "copy".
    verdict : str
        In plain words.
    columns : tuple of Column
        Generated records, in the order of the real columns; empty where there are none.
    marginal_errors : column -> error in [0, 1]
    worst_pairs : tuple of (column, column, error), the worst first
    tells : tuple of (column, share of importance), the largest first
        Which columns gave the model away to the two-sample classifier against training records.
    suspects : tuple of Suspect, the most suspicious first
    curve : Curve or None
        None where the model was not learned by gradients.
    settings : name -> text
        The parameters it was fitted with.
    latents : Latents or None
        None where the model has none.
    network : Network or None
        None where the model is no Bayesian network.
    """

    row: Row
    verdict: str
    columns: tuple[Column, ...] = ()
    marginal_errors: Mapping[str, float] = field(default_factory=dict)
    worst_pairs: tuple[tuple[str, str, float], ...] = ()
    tells: tuple[tuple[str, float], ...] = ()
    suspects: tuple[Suspect, ...] = ()
    curve: Curve | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    latents: Latents | None = None
    network: Network | None = None

    @property
    def name(self) -> str:
        """The name of the row's model, as people read it."""
        return row_title(self.row)

    @property
    def family(self) -> str:
        """The name of its family, as people read it."""
        family = str(self.row["family"])
        return title(family, family)


@dataclass(frozen=True)
class ReportData:
    """All that a report shows.

    Attributes
    ----------
    data : str
        The name of the records, such as "penguins.csv".
    n_training, n_held_out, n_evaluated : int
        Records that models learned from; records kept from them; records of each side that the metrics looked at.
    split : str
        How held-out records were chosen, a sentence.
    models : tuple of ModelReport
        Those that finished, the best first.
    references : tuple of ModelReport
        Fresh real records, independent columns, a copy of the training set.
    failures : tuple of (model, sentence)
    training, held_out : tuple of Column
        Real records, the same columns in the same order; at most some ten thousand of them are of use.
    schema : tuple of mappings
        The rows of `Table.describe()`.
    notes : tuple of str
        What the reader guessed on the way, and what else should be known.
    ranking : str
        The rule by which models are ordered, in a sentence or two.
    command : str
        The command that does all this again.
    seed : int
    created : str
        Date and time, ISO 8601.
    seconds : float or None
        How long the whole comparison took.
    machine, versions : tuple of (name, text)
        Processor, cores, memory, ...; python, likewise, torch, ...
    """

    data: str
    n_training: int
    n_held_out: int
    n_evaluated: int
    split: str
    models: tuple[ModelReport, ...]
    references: tuple[ModelReport, ...]
    failures: tuple[tuple[str, str], ...]
    training: tuple[Column, ...]
    held_out: tuple[Column, ...]
    schema: tuple[Row, ...]
    ranking: str
    command: str
    seed: int
    created: str
    machine: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    seconds: float | None = None


def _floats(numbers: Any) -> Floats:
    """Numbers with NaN for None."""
    return np.array([np.nan if number is None else number for number in numbers], np.float64)
