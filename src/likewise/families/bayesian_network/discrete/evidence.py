"""What a question says of the states of every node."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from likewise.errors import DataError
from likewise.events import Status
from likewise.families.bayesian_network.discrete.nodes import Nodes
from likewise.families.bayesian_network.inference.exact import Evidence
from likewise.families.family import Question


def evidence_of(nodes: Nodes, question: Question) -> Evidence:
    """What is known about the states of the entries of the records."""
    batch = question.evidence
    status = batch.status.cpu().numpy()
    weights = {}
    for i in np.flatnonzero((status == Status.RESTRICTED).any(0)).tolist():
        rows = np.flatnonzero(status[:, i] == Status.RESTRICTED)
        logs = np.zeros((len(batch), nodes.sizes[i]))
        logs[rows] = nodes.log_evidence(batch.rows(torch.from_numpy(rows)), i).cpu().numpy()
        weights[i] = logs
    states, observed = nodes.states(batch).cpu().numpy(), status == Status.OBSERVED
    for i, likelihood in question.likelihoods.items():
        agrees = likelihood.double().cpu().numpy()
        if i not in weights and ((agrees > 0).sum(1) == 1).all():
            # Only one state is left: it is as good as observed, and inference need not sum over it.
            states = states.copy()
            states[:, i] = np.where(observed[:, i], states[:, i], agrees.argmax(1))
            observed[:, i] = True
            continue
        logs = weights.setdefault(i, np.zeros((len(batch), nodes.sizes[i])))
        with np.errstate(divide="ignore"):
            logs[:, : agrees.shape[1]] += np.log(agrees)
    return Evidence(states, observed, weights, frozenset(question.set_from_outside))


def asked(nodes: Nodes, question: Question, targets: Sequence[int]) -> Evidence:
    """The evidence; DataError where it observes a target in a state that no training record had."""
    evidence = evidence_of(nodes, question)
    for i in targets:
        odd = evidence.observed[:, i] & (evidence.states[:, i] == nodes.unseen(i))
        if odd.any():
            raise DataError(
                f"Row {int(odd.argmax())} observes {nodes.event.all[i].name} in a state that no training record "
                "had, which is none of the states that answers are about: leave the column out of the targets."
            )
    return evidence
