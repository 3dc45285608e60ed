"""The table of roles: what a family asks of a network, and which network answers for each layout of events."""

from __future__ import annotations

from typing import Literal

from torch import nn

from likewise.errors import NotSupported
from likewise.events import Columns, Grid, Layout, Sequence
from likewise.networks.denoiser import RecordDenoiser
from likewise.networks.dense import DenseCritic, DenseGenerator
from likewise.networks.energy import DenseEnergy
from likewise.networks.prefix import PrefixNetwork
from likewise.networks.records import RecordDecoder, RecordEncoder

Role = Literal["causal", "generator", "critic", "energy", "encoder", "decoder", "denoiser"]

ROLES: dict[tuple[Role, type[Layout]], type[nn.Module]] = {
    ("causal", Columns): PrefixNetwork,
    ("causal", Grid): PrefixNetwork,
    ("causal", Sequence): PrefixNetwork,
    ("generator", Columns): DenseGenerator,
    ("generator", Grid): DenseGenerator,
    ("generator", Sequence): DenseGenerator,
    ("critic", Columns): DenseCritic,
    ("critic", Grid): DenseCritic,
    ("critic", Sequence): DenseCritic,
    ("energy", Columns): DenseEnergy,
    ("energy", Grid): DenseEnergy,
    ("energy", Sequence): DenseEnergy,
    ("encoder", Columns): RecordEncoder,
    ("encoder", Grid): RecordEncoder,
    ("encoder", Sequence): RecordEncoder,
    ("decoder", Columns): RecordDecoder,
    ("decoder", Grid): RecordDecoder,
    ("decoder", Sequence): RecordDecoder,
    ("denoiser", Columns): RecordDenoiser,
    ("denoiser", Grid): RecordDenoiser,
    ("denoiser", Sequence): RecordDenoiser,
}


def network(role: Role, layout: Layout) -> type[nn.Module]:
    """The class of network that fills `role` for events of `layout`; NotSupported where no network does yet."""
    try:
        return ROLES[role, type(layout)]
    except KeyError:
        raise NotSupported(f"no network fills the role {role!r} for a {type(layout).__name__.lower()} layout") from None
