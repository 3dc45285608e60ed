"""How often each label stood among the training records: what conditional models draw and sum labels by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log, log1p, prod

import torch
from torch import Tensor, nn

from likewise.errors import DataError, NotSupported
from likewise.events import Batch, Event, Quantised, Status
from likewise.families.family import Draws, LogProb
from likewise.mathematics.monotone import EDGE

KNOTS = 1024
"""Quantiles kept of a numeric label."""

MOST_LABELS = 4096
"""Combinations of unknown labels that are summed over, at most."""


class LabelMarginal(nn.Module):
    """The labels of the training records by themselves: frequencies of codes, quantiles of values.

    A conditional model learns p(entries | labels). To draw labels, and to sum them out, it needs p(labels), which is
    counted here; several labels are taken as independent. A state that no training record had keeps its reserved
    probability and is never drawn.

    Parameters
    ----------
    event : Event
        With at least one label; ValueError otherwise.

    Examples
    --------
    >>> from likewise.events import Categorical, Columns, Entry
    >>> event = Event(Columns(), (Entry("x", Categorical(2)),), (Entry("kind", Categorical(2)),))
    >>> marginal = LabelMarginal(event)
    >>> marginal.prepare(event.complete(torch.tensor([[0, 1], [1, 1], [0, 1], [1, 0]]), torch.zeros(4, 2)))
    >>> marginal.log_prob(torch.tensor([[0], [1]])).exp()
    tensor([[0.2500],
            [0.7500]], dtype=torch.float64)
    """

    def __init__(self, event: Event) -> None:
        super().__init__()
        if not event.labels:
            raise ValueError("conditional=True needs labels: fit(X, y)")
        self._event = event
        sizes = [event.code_sizes[i] for i in event.label_entries]
        self._codes = [slice(sum(sizes[:at]), sum(sizes[: at + 1])) for at in range(len(sizes))]
        valued = [at for at, entry in enumerate(event.labels) if entry.value is not None]
        self._places = {at: place for place, at in enumerate(valued)}
        self.share = nn.Buffer(torch.cat([torch.full((size,), 1 / size) for size in sizes]))
        self.values = nn.Buffer(torch.zeros(len(valued), KNOTS))

    @torch.no_grad()
    def prepare(self, train: Batch) -> None:
        """Counts the labels that are observed in training records."""
        for at, i in enumerate(self._event.label_entries):
            observed = train.status[:, i] == Status.OBSERVED
            size = self._event.code_sizes[i]
            counts = torch.bincount(train.codes[observed, i], minlength=size).double()
            unseen = self._event.all[i].unseen
            if unseen is not None:
                counts[unseen] = 0
            if counts.sum() > 0:
                self.share[self._codes[at]] = (counts / counts.sum()).to(self.share)
            if at in self._places:
                present = train.values[observed & (train.codes[:, i] == 0), i].double().clamp(-EDGE, EDGE)
                if len(present):
                    self.values[self._places[at]] = self._quantiles(at, present).to(self.values)

    def _quantiles(self, at: int, present: Tensor) -> Tensor:
        """The quantiles (KNOTS,) of values at levels from 0 to 1; of grids only values that were there."""
        levels = torch.linspace(0, 1, KNOTS, dtype=torch.float64, device=present.device)
        return self._between(at, present.sort().values, levels)

    def _between(self, at: int, ordered: Tensor, levels: Tensor) -> Tensor:
        """The entries (n,) of an ascending row at levels from 0 to 1; the nearest one where the label is on a grid."""
        place = levels * (len(ordered) - 1)
        if isinstance(self._event.labels[at].value, Quantised):
            return ordered[place.round().long()]
        low = place.floor().long()
        return torch.lerp(ordered[low], ordered[(low + 1).clamp(max=len(ordered) - 1)], place - low)

    @torch.no_grad()
    def draw(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Codes (size, L) int64 and model-unit values (size, L) float64 of `size` records' labels; absent values 0."""
        batch = self.completed(Batch.unknown(self._event, size).to(self.share.device), generator)
        at = list(self._event.label_entries)
        return batch.codes[:, at], batch.values[:, at]

    @torch.no_grad()
    def completed(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The records with labels that are not observed drawn by their frequencies, within the given sets.

        Raises
        ------
        DataError
            Where labels are restricted to what no training record had.
        """
        out = batch.hide([])
        for at, i in enumerate(self._event.label_entries):
            rows = (batch.status[:, i] != Status.OBSERVED).nonzero().squeeze(1)
            if not len(rows):
                continue
            codes, value = self._draw_within(at, batch.rows(rows), generator)
            cell: tuple[Tensor, ...] = (torch.zeros_like(value), torch.zeros_like(value), torch.ones_like(value))
            if at in self._places:
                present = codes == 0
                found = self._event.measure(i, value)
                cell = tuple(torch.where(present, new, old) for new, old in zip(found, cell, strict=True))
            for part, new in zip((out.codes, out.values, out.lower, out.width), (codes, *cell), strict=True):
                part[rows, i] = new.to(part)
            out.status[rows, i] = int(Status.OBSERVED)
        labels = set(self._event.label_entries)
        kept = {i: part for i, part in out.restrictions.items() if i not in labels}
        return Batch(out.codes, out.values, out.lower, out.width, out.status, kept)

    def _draw_within(self, at: int, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Codes and values (B,) of one label that is unknown or restricted in all records of a batch."""
        i = self._event.label_entries[at]
        uniform = torch.rand(2, len(batch), 1, generator=generator, device=generator.device, dtype=torch.float64)
        uniform = uniform.to(self.share.device)
        chance = self.share[self._codes[at]].double().expand(len(batch), -1)
        restricted = (batch.status[:, i] == Status.RESTRICTED).unsqueeze(1)
        value = torch.zeros(len(batch), dtype=torch.float64, device=chance.device)
        if i in batch.restrictions:
            chance = torch.where(restricted, chance * batch.restrictions[i].codes, chance)
        if at in self._places:
            knots = self.values[self._places[at]].double()
            value = self._between(at, knots, uniform[1, :, 0])
            if i in batch.restrictions:
                low, high = batch.restrictions[i].intervals.double().unsqueeze(3).unbind(2)
                inside = ((knots >= low) & (knots <= high)).any(1) | ~restricted
                chance = torch.cat([chance[:, :1] * inside.double().mean(1, keepdim=True), chance[:, 1:]], 1)
                cumulative = inside.double().cumsum(1)
                picked = torch.searchsorted(cumulative, uniform[1] * cumulative[:, -1:], right=True)
                value = torch.where(restricted[:, 0], knots[picked.clamp(max=KNOTS - 1)[:, 0]], value)
        if bool((chance.sum(1) == 0).any()):
            raise DataError(f"No training record has {self._event.all[i].name!r} in the given set.")
        cumulative = chance.cumsum(1)
        codes = torch.searchsorted(cumulative, uniform[0] * cumulative[:, -1:], right=True)[:, 0]
        # Rounding must not end in a state of probability zero.
        last = (chance > 0).long().cumsum(1).argmax(1)
        return torch.minimum(codes, last), value

    def log_prob(self, codes: Tensor) -> Tensor:
        """log-probabilities (B, L) float64 of the codes (B, L) of labels, in nats."""
        return torch.stack([self._log_share(at)[codes[:, at]] for at in range(len(self._codes))], 1)

    def _log_share(self, at: int) -> Tensor:
        share, label = self.share[self._codes[at]].double(), self._event.labels[at]
        found = (share / share.sum()).log()
        if label.unseen is not None:
            found = found + log1p(-label.reserved)
            found[label.unseen] = log(label.reserved)
        return found

    # ------------------------------------------------------------------------------------------------ labels unknown

    def combinations(self, batch: Batch, unseen: bool = True) -> tuple[Batch, Tensor, Tensor]:
        """Each record once for every state that its labels can have; without `unseen`, none that was never there.

        Returns
        -------
        records : Batch
            Their labels observed, everything else as it was.
        owner : int64 (N,)
            Which record of `batch` each one stands for.
        log_weight : float64 (N,)
            The log-probability of its labels given what is known of them: 0 where they were observed. Labels that are
            restricted to a set have their probability within the set.

        Raises
        ------
        NotSupported
            Where a numeric label is not known, or combinations are too many.
        DataError
            Where labels are restricted to what no training record had.
        """
        places = [at for at, i in enumerate(self._event.label_entries) if bool((batch.status[:, i] > 0).any())]
        if not places:
            return (
                batch,
                torch.arange(len(batch), device=batch.codes.device),
                batch.values.new_zeros(len(batch)).double(),
            )
        sizes = [self._codes[at].stop - self._codes[at].start for at in places]
        if prod(sizes) > MOST_LABELS:
            raise NotSupported(f"give y: unknown labels have {prod(sizes)} combinations, more than {MOST_LABELS}.")
        states = [torch.arange(size, device=batch.codes.device) for size in sizes]
        grid = torch.cartesian_prod(*states).reshape(-1, len(places))
        log_weight = torch.zeros(len(batch), len(grid), dtype=torch.float64, device=batch.codes.device)
        for column, at in enumerate(places):
            log_weight = log_weight + self._log_weights(batch, at, unseen)[:, grid[:, column]]
        owner, which = (log_weight > -torch.inf).nonzero().unbind(1)
        records = batch.rows(owner).hide([])
        for column, at in enumerate(places):
            i = self._event.label_entries[at]
            records.codes[:, i] = grid[which, column]
            records.status[:, i] = int(Status.OBSERVED)
        labels = {self._event.label_entries[at] for at in places}
        kept = {i: part for i, part in records.restrictions.items() if i not in labels}
        records = Batch(records.codes, records.values, records.lower, records.width, records.status, kept)
        return records, owner, log_weight[owner, which]

    def _log_weights(self, batch: Batch, at: int, unseen: bool) -> Tensor:
        """log-probabilities (B, K) of the codes of one label, given what each record says of it."""
        i = self._event.label_entries[at]
        status, size = batch.status[:, i], self._event.code_sizes[i]
        allowed = torch.ones(len(batch), size, dtype=torch.bool, device=batch.codes.device)
        if i in batch.restrictions:
            restricted = (status == Status.RESTRICTED).unsqueeze(1)
            allowed = torch.where(restricted, batch.restrictions[i].codes, allowed)
        if not unseen and self._event.all[i].unseen is not None:
            allowed[:, self._event.all[i].unseen] = False
        found = torch.where(allowed, self._log_share(at).to(allowed.device), -torch.inf)
        observed = (status == Status.OBSERVED).unsqueeze(1)
        name = self._event.all[i].name
        if at in self._places and bool((~observed[:, 0] & (found[:, 0] > -torch.inf)).any()):
            raise NotSupported(f"give y: the values of {name!r} are too many to be summed over.")
        if bool((~observed[:, 0] & (found == -torch.inf).all(1)).any()):
            raise DataError(f"No training record has {name!r} in the given set.")
        own = torch.nn.functional.one_hot(batch.codes[:, i], size) > 0
        return torch.where(observed, torch.where(own, 0.0, -torch.inf), found - found.logsumexp(1, keepdim=True))

    @property
    def countable(self) -> bool:
        """Whether `combinations` can sum over all labels."""
        return not self._places and prod(part.stop - part.start for part in self._codes) <= MOST_LABELS

    def summed(self, batch: Batch, score: Callable[[Batch], LogProb]) -> LogProb:
        """log p(x | what is known of the labels) (B,), from a `score` log p(x | labels) of records that have theirs.

        For labels in a set S, or anywhere, it is log sum_y p(y | y in S) p(x | y).
        """
        records, owner, log_weight = self.combinations(batch)
        found = score(records)
        if records is batch:
            return found
        terms = found.values.double() + log_weight.to(found.values.device)
        total = grouped(terms, owner, len(batch))
        # The standard error of the log of a sum of independent terms, relative to the sum.
        part = torch.exp(terms - total[owner]).nan_to_num(0.0) * found.standard_error.double()
        error = torch.zeros_like(total).index_add(0, owner, part.square()).sqrt()
        return LogProb(total, found.kind, error)

    def draws(
        self,
        evidence: Batch,
        count: int,
        generator: torch.Generator,
        score: Callable[[Batch], LogProb],
        draw: Callable[[Batch, int], Draws],
    ) -> Draws:
        """`count` records for each record of evidence, whose labels may be unknown, from a `draw` that needs them.

        Labels that are not observed are drawn from p(y | evidence), which is p(evidence | y) p(y) up to a factor, by
        `score`; records then by `draw`, all those of one state of the labels together.
        """
        records, owner, log_weight = self.combinations(evidence, unseen=False)
        if records is evidence:
            return draw(evidence, count)
        said = records.hide(self._event.label_entries).status != Status.UNKNOWN
        if bool(said.any()):
            log_weight = log_weight + score(records).values.to(log_weight)
        chosen = self._chosen(log_weight, owner, len(evidence), count, generator)
        parts, places, worth = [], [], evidence.values.new_zeros(len(evidence)).double()
        states, member = torch.unique(records.codes[:, list(self._event.label_entries)], dim=0, return_inverse=True)
        for state in range(len(states)):
            rows = ((member == state) & (chosen > 0)).nonzero().squeeze(1)
            if not len(rows):
                continue
            most = int(chosen[rows].max())
            found = draw(records.rows(rows), most)
            kept = (torch.arange(most) < chosen[rows].unsqueeze(1)).flatten()
            parts.append(found.batch.rows(kept))
            places.append(owner[rows].repeat_interleave(chosen[rows]))
            size = (
                torch.full((len(rows),), float(most))
                if found.effective_sample_size is None
                else found.effective_sample_size
            )
            worth.index_add_(0, owner[rows], size.to(worth) * chosen[rows] / most)
        place = torch.cat(places)
        shuffled = torch.rand(len(place), generator=generator, dtype=torch.float64) + place
        return Draws(Batch.join(parts).rows(shuffled.argsort()), worth.clamp(max=count))

    @staticmethod
    def _chosen(log_weight: Tensor, owner: Tensor, rows: int, count: int, generator: torch.Generator) -> Tensor:
        """How many (N,) of `count` draws of its record each combination gets, drawn by weight."""
        out = torch.zeros(len(owner), dtype=torch.int64)
        for row in range(rows):
            mine = (owner == row).nonzero().squeeze(1)
            share = torch.softmax(log_weight[mine], 0)
            drawn = torch.multinomial(share, count, replacement=True, generator=generator)
            out[mine] = torch.bincount(drawn, minlength=len(mine))
        return out


def drawn_labels(event: Event, labels: LabelMarginal | None, size: int, generator: torch.Generator) -> Batch:
    """Records of which nothing is known but, where a model is given them, the labels: drawn by their frequencies."""
    empty = Batch.unknown(event, size).to(generator.device)
    return empty if labels is None else labels.completed(empty, generator)


def label_groups(event: Event, batch: Batch) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The distinct labels of records: their codes (1, L), their values (1, L) and the positions of their records."""
    at = list(event.label_entries)
    told = torch.cat([batch.codes[:, at].double(), batch.values[:, at].double()], 1)
    for label in told.unique(dim=0) if len(told) else told:
        codes, values = label.unsqueeze(0).chunk(2, 1)
        yield codes.long(), values, (told == label).all(1).nonzero().squeeze(1)


def grouped(terms: Tensor, owner: Tensor, size: int) -> Tensor:
    """log sum exp (size,) of the terms (N,) of each owner; minus infinity where it has none.

    Examples
    --------
    >>> grouped(torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0, 0, 1]), 2)
    tensor([0.6931, 1.0000])
    """
    top = torch.full((size,), -torch.inf, dtype=terms.dtype, device=terms.device)
    top = top.scatter_reduce(0, owner, terms, "amax").nan_to_num(neginf=0.0)
    return torch.zeros_like(top).index_add(0, owner, torch.exp(terms - top[owner])).log() + top
