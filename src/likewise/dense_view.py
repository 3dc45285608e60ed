"""A differentiable vector view of events, for the families that need one."""

from __future__ import annotations

import torch
from torch import Tensor

from likewise.events import Batch, Event


class DenseView:
    """A differentiable view of an event: one-hot codes and values side by side, for families that need one vector.

    Each entry takes one column a code (none when it has a single code) and one column for its value. The view of a
    batch holds indicators and values; the output of a network in the same columns holds logits and values. `harden`
    turns a view, relaxed or not, into codes and values.

    Examples
    --------
    >>> from likewise.events import Categorical, Columns, Entry, MonotoneMap, Real
    >>> mass = Entry("mass", Categorical(1), Real(MonotoneMap.affine(0, 1)))
    >>> event = Event(Columns(), (Entry("colour", Categorical(3)), mass))
    >>> view = DenseView(event)
    >>> batch = event.complete(torch.tensor([[2, 0]]), torch.tensor([[0.0, 0.5]]))
    >>> view.dense(batch)
    tensor([[0.0000, 0.0000, 1.0000, 0.5000]], dtype=torch.float64)
    >>> codes, values = view.harden(view.dense(batch))
    >>> codes, values
    (tensor([[2, 0]]), tensor([[0.0000, 0.5000]], dtype=torch.float64))
    """

    def __init__(self, event: Event) -> None:
        self.event = event
        self.code_columns: list[slice] = []
        self.value_columns: list[int | None] = []
        at = 0
        for entry in event.all:
            size = entry.code.size if entry.code.size > 1 else 0
            self.code_columns.append(slice(at, at + size))
            at += size
            self.value_columns.append(None if entry.value is None else at)
            at += entry.value is not None
        self.size = at

    def dense(self, batch: Batch) -> Tensor:
        """The view (B, size) of fully observed records, in the precision of their values; absent values are 0."""
        assert batch.fully_observed
        out = batch.values.new_zeros(len(batch), self.size)
        for i, (codes, value) in enumerate(zip(self.code_columns, self.value_columns, strict=True)):
            if codes.stop > codes.start:
                out[:, codes] = torch.nn.functional.one_hot(batch.codes[:, i], codes.stop - codes.start).to(out)
            if value is not None:
                out[:, value] = batch.values[:, i]
        return out

    def harden(self, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, E) and values (B, E) of a view: the largest indicator of each entry, values where present."""
        codes = torch.zeros(len(dense), len(self.event), dtype=torch.int64, device=dense.device)
        values = dense.new_zeros(len(dense), len(self.event))
        for i, (columns, value) in enumerate(zip(self.code_columns, self.value_columns, strict=True)):
            if columns.stop > columns.start:
                codes[:, i] = dense[:, columns].argmax(1)
            if value is not None:
                values[:, i] = dense[:, value] * (codes[:, i] == 0)
        return codes, values
