"""A network for conditionals p(entry | any set of other entries), whose context is a sum of entry embeddings."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.events import Event
from likewise.networks.smooth import smooth_centres, steps_and_bumps


class Residual(nn.Module):
    """h + W2 gelu(W1 norm(h)): a pre-normalised residual layer that starts as the identity."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        self.dropout = dropout
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The layer (B, T, width); in training with dropout, of the same units for all targets of a record.

        Torch's own dropout knows no generators. Shared units cost a T-th of the noise (Gal and Ghahramani 2016).
        """
        change: Tensor = self.narrow(F.gelu(self.widen(self.norm(h))))
        if self.training and self.dropout > 0:
            keep = torch.empty_like(change[:, :1]).bernoulli_(1 - self.dropout, generator=generator)
            change = change * (keep / (1 - self.dropout))
        return h + change


class PrefixNetwork(nn.Module):
    """Conditionals of every entry given any set of the others, as in orderless NADE (Uria, Murray, Larochelle 2014).

    The context of a set of entries is the sum of their embeddings. The conditional of a target entry is read from its
    context by residual layers shared among all entries, told which target is meant by a learned vector. Adding an entry
    to a context costs its embedding, and one conditional one pass of the shared layers: a record is sampled for the
    price of one density evaluation.

    Parameters
    ----------
    event : Event
    outputs : sequence of int
        How many numbers the conditional of each entry takes.
    width, hidden, layers, dropout
        Size of the context, of the residual layers, their number, and the dropout inside them.
    bumps : int
        Radial features of a value, spread over [-3, 3] normal scores.
    """

    def __init__(
        self,
        event: Event,
        outputs: SequenceOf[int],
        width: int = 128,
        hidden: int = 256,
        layers: int = 3,
        dropout: float = 0.1,
        bumps: int = 24,
    ) -> None:
        super().__init__()
        self.width = width
        self.value_entries = event.value_entries
        self._value_slot = {i: slot for slot, i in enumerate(event.value_entries)}
        self._code_start = _starts(event.code_sizes)
        self._output_sizes = list(outputs)
        self._output_start = _starts(outputs)
        self._unseen = event.unseen_codes
        self.bump_centres = nn.Buffer(smooth_centres(bumps))
        self.code_embedding = nn.Parameter(0.3 * torch.randn(sum(event.code_sizes), width))
        self.value_embedding = nn.Parameter(0.15 * torch.randn(len(self.value_entries), 2 * bumps + 1, width))
        self.target = nn.Parameter(0.3 * torch.randn(len(event), width))
        self.layers = nn.ModuleList(Residual(width, hidden, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.output_weight = nn.Parameter(0.01 * torch.randn(sum(outputs), width))
        self.output_bias = nn.Parameter(torch.zeros(sum(outputs)))

    def outputs(self, entry: int) -> slice:
        """Where the outputs of an entry stand in `output_weight` and `output_bias`."""
        return slice(self._output_start[entry], self._output_start[entry + 1])

    def _features(self, values: Tensor) -> Tensor:
        """Smooth steps and bumps of a value, (..., 2 bumps + 1): fine detail without losing the tails."""
        values = values.to(self.bump_centres.dtype).clamp(-8, 8)
        return torch.cat([values.unsqueeze(-1), steps_and_bumps(values, self.bump_centres)], -1)

    def embed(self, codes: Tensor, values: Tensor) -> Tensor:
        """Embeddings of the entries of records (B, E), as (B, E, width); a state never seen in training embeds as 0."""
        start = torch.tensor(self._code_start[:-1], device=codes.device)
        embedded = F.embedding(codes + start, self.code_embedding)
        embedded = embedded * (codes != torch.tensor(self._unseen, device=codes.device)).unsqueeze(-1)
        if self.value_entries:
            at = list(self.value_entries)
            value = torch.einsum("bvf,vfh->bvh", self._features(values[:, at]), self.value_embedding)
            embedded = embedded.index_add(
                1, torch.tensor(at, device=codes.device), value * (codes[:, at] == 0).unsqueeze(-1)
            )
        return embedded

    def embed_entry(self, entry: int, codes: Tensor, values: Tensor) -> Tensor:
        """Embeddings (B, width) of one entry at codes (B,) and values (B,)."""
        embedded = F.embedding(codes + self._code_start[entry], self.code_embedding)
        if self._unseen[entry] >= 0:
            embedded = embedded * (codes != self._unseen[entry]).unsqueeze(-1)
        slot = self._value_slot.get(entry)
        if slot is not None:
            embedded = embedded + self._features(values) @ self.value_embedding[slot] * (codes == 0).unsqueeze(-1)
        return embedded

    def read(self, context: Tensor, entries: SequenceOf[int], generator: torch.Generator | None = None) -> list[Tensor]:
        """Outputs of the conditionals of `entries` from their contexts (B, len(entries), width): one (B, n) each."""
        h = context + self.target[list(entries)]
        for layer in self.layers:
            h = layer(h, generator)
        # Splitting rather than slicing: the gradient of the parts is put together once, not added up entry by entry.
        contexts = self.norm(h).unbind(1)
        if len(entries) == 1:
            at = self.outputs(entries[0])
            return [F.linear(contexts[0], self.output_weight[at], self.output_bias[at])]
        weight, bias = self.output_weight.split(self._output_sizes), self.output_bias.split(self._output_sizes)
        return [F.linear(h, weight[i], bias[i]) for h, i in zip(contexts, entries, strict=True)]


def _starts(sizes: SequenceOf[int]) -> tuple[int, ...]:
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + size)
    return tuple(starts)
