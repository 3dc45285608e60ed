"""What players may ask of the loop: turns in the cool-down, averages of their own, opponents as they are on average."""

from __future__ import annotations

import torch
from small_families import Duel, Player, records

from likewise.engine.loop import train
from likewise.engine.moving import Average, Seat
from likewise.engine.plan import Plan
from likewise.engine.processes import Processes


class Watched(Duel):
    """A third player watches the averaged generator, and only while the fit cools down."""

    def __init__(self) -> None:
        super().__init__()
        self.watcher = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[str, float]] = []

    def players(self):
        watcher = Player("watcher", [self.watcher], steps=0, late_steps=2, against=("generator",))
        return [*super().players(), watcher]

    def forward(self, batch, player, generator):
        self.seen.append((player, float(self.generator.detach())))
        if player != "watcher":
            return super().forward(batch, player, generator)
        assert not self.generator.requires_grad
        return (self.watcher - self.generator).square().sum()

    def remarks(self):
        return [] if abs(float(self.generator.detach()) - 1) > 1 else ["The generator is near."]


def test_a_late_player_takes_its_turns_in_the_cool_down_against_averages():
    family = Watched()
    plan = Plan(max_steps=200, batch_size=100, cooldown=0.5, ema_decay=0.9, validate_every=50, device="cpu")
    record = train(family, records(400, 1), records(100, 1, seed=1), plan, seed=0)
    names = [name for name, _ in family.seen]
    assert names.count("watcher") == 2 * 100
    assert "watcher" not in names[: 3 * 100]
    late = family.seen[300:]
    # Of a generator on its way down, the average lags behind: it is not what the others saw in the same step.
    pairs = [
        (late[k - 1][1], late[k][1])
        for k in range(1, len(late))
        if late[k][0] == "watcher" and late[k - 1][0] == "critic"
    ]
    assert len(pairs) == 100
    assert sum(now != average for now, average in pairs) > 90
    assert record.remarks[0].endswith("The generator is near.")
    assert len(record.remarks) == 1  # said once


def test_each_player_has_the_average_that_it_asks_for():
    family = Duel()
    short, long = family.players()
    players = [
        Player("generator", short.parameters, ema_decay=0.5),
        Player("critic", long.parameters),
    ]
    seats = [Seat(family, player, Processes(), torch.device("cpu")) for player in players]
    average = Average(seats, 0.99)
    expected = [family.generator.detach().clone(), family.critic.detach().clone()]
    for step in range(1, 40):
        with torch.no_grad():
            family.generator.add_(1.0)
            family.critic.add_(1.0)
        average.update(step)
        for k, decay in enumerate((0.5, 0.99)):
            decay = min(decay, (1 + step) / (10 + step))
            now = (family.generator, family.critic)[k].detach()
            expected[k] = decay * expected[k] + (1 - decay) * now
    torch.testing.assert_close(average.values, expected)
    before = family.critic.detach().clone()
    with average.in_place(["generator"]):
        torch.testing.assert_close(family.generator.detach(), expected[0])
        assert torch.equal(family.critic, before)
    assert float(family.generator) == 42.0
