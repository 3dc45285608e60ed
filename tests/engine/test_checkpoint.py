"""Facts about checkpoints: whole or absent, two kept, tied to their fit; and the real thing, `kill -9`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from forked import Forks
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_families import Duel, Gaussian, Noisy, records

from likewise.engine import checkpoint as checkpoint_module
from likewise.engine.checkpoint import WARM, Checkpoints, describe
from likewise.engine.loop import train
from likewise.engine.plan import Plan
from likewise.engine.record import TrainingRecord
from likewise.errors import DataError, ModelFileError

TRAIN, HELD_OUT = records(300), records(60, seed=1)
HERE = Path(__file__).parent


def load_header(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as opened:
        metadata: dict[str, str] = opened.metadata()
    return metadata


def write(keeper: Checkpoints, step: int) -> Path:
    return keeper.write(
        step, {"standing": {"step": step}}, {"x": torch.full((3,), float(step)), "n": torch.tensor(step)}
    )


def test_the_newest_of_two_comes_back(tmp_path: Path) -> None:
    keeper = Checkpoints(tmp_path, {"seed": 1})
    assert keeper.newest() is None
    for step in (5, 9, 12):
        write(keeper, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-00000002.safetensors",
        "checkpoint-00000003.safetensors",
    ]
    found = keeper.newest()
    assert found is not None
    assert found[0]["standing"] == {"step": 12}
    assert torch.equal(found[1]["x"], torch.full((3,), 12.0))


def test_a_new_fit_in_an_old_folder_is_the_newest(tmp_path: Path) -> None:
    write(Checkpoints(tmp_path, {"seed": 1}), 1000)
    anew = Checkpoints(tmp_path, {"seed": 2})
    write(anew, 1)
    found = anew.newest()
    assert found is not None
    assert found[0]["standing"] == {"step": 1}


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Checkpoints(tmp_path, {})
    kept = write(keeper, 1)

    def half(tensors: object, path: Path, metadata: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint_module, "save_file", half)
    with pytest.raises(OSError, match="space"):
        write(keeper, 2)
    assert list(tmp_path.iterdir()) == [kept]


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    keeper = Checkpoints(tmp_path, {})
    (tmp_path / ".checkpoint-00000001.0123456789ab.partial.safetensors").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    assert keeper.newest() is None
    write(keeper, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-00000001.safetensors", "notes.txt"]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "header", "foreign", "list"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(damage: str, tmp_path: Path) -> None:
    keeper = Checkpoints(tmp_path, {"seed": 1})
    write(keeper, 5)
    newest = write(keeper, 9)
    content = newest.read_bytes()
    if damage == "truncated":
        newest.write_bytes(content[:-5])
    elif damage == "flipped":
        newest.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    elif damage == "empty":
        newest.write_bytes(b"")
    elif damage == "header":
        newest.write_bytes(content.replace(b"step", b"stop"))
    elif damage == "foreign":
        save_file(load_file(newest), newest)
    else:
        save_file({}, newest, {"header": "[]", "sha256": checkpoint_module._digest("[]", {})})
    with pytest.warns(UserWarning, match=r"checkpoint-00000002.* is damaged"):
        found = keeper.newest()
    assert found is not None
    assert found[0]["standing"] == {"step": 5}
    (tmp_path / "checkpoint-00000001.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match="is damaged"), pytest.raises(ModelFileError, match="start anew"):
        keeper.newest()


def test_every_cut_of_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    file = write(Checkpoints(tmp_path, {}), 1)
    content = file.read_bytes()
    for size in range(0, len(content), 7):
        file.write_bytes(content[:size])
        with pytest.raises(ModelFileError):
            checkpoint_module._read(file)


def test_only_the_same_fit_goes_on(tmp_path: Path) -> None:
    plan = Plan(max_steps=10)
    train(Gaussian(), TRAIN, HELD_OUT, plan, seed=0, checkpoint=tmp_path)

    def go_on(family: object, plan: Plan = plan, seed: int = 0, size: int = 300) -> None:
        assert isinstance(family, Gaussian | Duel)
        train(family, records(size), HELD_OUT, plan, seed=seed, checkpoint=tmp_path, resume=True)

    go_on(Gaussian())
    go_on(Gaussian(), plan=Plan(max_steps=10, checkpoint_steps=3))
    with pytest.raises(DataError, match="another fit: seed was 0, now 1"):
        go_on(Gaussian(), seed=1)
    with pytest.raises(DataError, match="batch_size was 64, now 32"):
        go_on(Gaussian(), plan=Plan(max_steps=10, batch_size=32))
    with pytest.raises(DataError, match=r"training records was 300 x 2 .*, now 299 x 2"):
        go_on(Gaussian(), size=299)
    with pytest.raises(DataError, match=r'settings was .*"learning_rate": 0.03.*, now .*"learning_rate": 0.1'):
        go_on(Gaussian(learning_rate=0.1))
    with pytest.raises(DataError, match="family was small, now duel"):
        go_on(Duel())


def test_going_on_with_learned_weights_goes_on_from_those_alone(tmp_path: Path) -> None:
    plan, first, other = Plan(max_steps=5), Gaussian(), Gaussian()
    other.mean.data.add_(1)
    train(first, TRAIN, HELD_OUT, plan, seed=0, fresh=False, checkpoint=tmp_path)
    with pytest.raises(DataError, match="weights was"):
        train(other, TRAIN, HELD_OUT, plan, seed=0, fresh=False, checkpoint=tmp_path, resume=True)
    train(Gaussian(), TRAIN, HELD_OUT, plan, seed=0, fresh=False, checkpoint=tmp_path, resume=True)


def test_every_value_of_the_records_counts() -> None:
    other = TRAIN.rows(torch.arange(300))
    other.width[7, 1] += 1e-9
    assert describe(TRAIN) == describe(TRAIN.rows(slice(None)))
    assert describe(TRAIN) != describe(other)


def test_resume_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="checkpoint="):
        train(Gaussian(), TRAIN, HELD_OUT, Plan(max_steps=3), seed=0, resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="name a folder"):
        train(Gaussian(), TRAIN, HELD_OUT, Plan(max_steps=3), seed=0, checkpoint=tmp_path / "file")
    train(Noisy(), TRAIN, HELD_OUT, Plan(max_steps=3), seed=0, checkpoint=tmp_path / "a" / "b", resume=True)
    assert len(list((tmp_path / "a" / "b").iterdir())) == 1


# ------------------------------------------------------------------------------------------------- with another budget


@pytest.mark.parametrize("budgets", [(40,), (12, 24, 60)])
def test_a_fit_that_is_given_more_steps_is_one_that_had_them_at_once(budgets: tuple[int, ...], tmp_path: Path) -> None:
    whole = Noisy()
    record = train(whole, TRAIN, HELD_OUT, Plan(max_steps=100, warmup=1, validate_every=7), seed=0)
    for steps in (*budgets, 100):
        family, plan = Noisy(), Plan(max_steps=steps, warmup=1, validate_every=7)
        found = train(family, TRAIN, HELD_OUT, plan, seed=0, checkpoint=tmp_path, resume=True)
        by_itself = Noisy()
        assert found == replace(train(by_itself, TRAIN, HELD_OUT, plan, seed=0), seconds=found.seconds)
        for name, part in by_itself.state_dict().items():
            assert torch.equal(family.state_dict()[name], part)
    assert found == replace(record, seconds=found.seconds)
    for name, part in whole.state_dict().items():
        assert torch.equal(family.state_dict()[name], part)


def test_time_that_a_cool_down_took_is_not_counted_when_a_fit_is_given_more(tmp_path: Path) -> None:
    first = train(Gaussian(), TRAIN, HELD_OUT, Plan(max_steps=40, warmup=1), seed=0, checkpoint=tmp_path)
    warm = json.loads((load_header(tmp_path / WARM))["header"])["standing"]
    assert (warm["step"], warm["cooling"]) == (30, None)
    assert warm["elapsed"] < first.seconds


def test_a_fit_goes_on_only_with_a_budget_that_is_left(tmp_path: Path) -> None:
    train(Gaussian(), TRAIN, HELD_OUT, Plan(max_steps=40), seed=0, checkpoint=tmp_path)
    for steps in (20, 30):
        with pytest.raises(DataError, match=f"30 steps .* larger budget than max_steps={steps}"):
            train(Gaussian(), TRAIN, HELD_OUT, Plan(max_steps=steps), seed=0, checkpoint=tmp_path, resume=True)
    (tmp_path / WARM).unlink()
    with pytest.raises(DataError, match="max_steps was 40, now 80"):
        train(Gaussian(), TRAIN, HELD_OUT, Plan(max_steps=80), seed=0, checkpoint=tmp_path, resume=True)


def test_a_state_before_another_cool_down_is_not_taken(tmp_path: Path) -> None:
    train(Gaussian(), TRAIN, HELD_OUT, Plan(max_steps=40), seed=1, checkpoint=tmp_path)
    other = (tmp_path / WARM).read_bytes()
    train(Gaussian(), TRAIN, HELD_OUT, Plan(max_steps=40), seed=0, checkpoint=tmp_path)
    (tmp_path / WARM).write_bytes(other)
    with pytest.raises(DataError, match="max_steps was 40, now 80"):
        train(Gaussian(), TRAIN, HELD_OUT, Plan(max_steps=80), seed=0, checkpoint=tmp_path, resume=True)


def test_a_fit_that_ended_by_itself_stays_as_it_is_with_any_budget(tmp_path: Path) -> None:
    def settled(steps: int | None) -> TrainingRecord:
        plan = Plan(max_steps=steps, validate_every=5, patience=2, tolerance=0.5)
        return train(Gaussian(), TRAIN, HELD_OUT, plan, seed=0, checkpoint=tmp_path, resume=True)

    first = settled(10_000)
    assert first.stopped == "plateau"
    assert settled(20_000) == settled(None) == first


def in_a_process(forks: Forks, script: str, folder: Path, *arguments: object) -> dict[str, object]:
    """What a script beside this file prints as JSON; it runs alone and single-threaded, so that it may fork."""
    done = forks.run((HERE / script).read_text("utf-8"), folder, *arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_fit_resumes_to_the_bit(forks: Forks, tmp_path: Path) -> None:
    result = in_a_process(forks, "killed_fits.py", tmp_path, 4)
    assert result["identical"] == [True] * 4
    assert result["unsound"] == []
    assert int(str(result["kills"])) >= 4


@pytest.mark.skipif(not torch.distributed.is_available() or sys.platform != "linux", reason="needs gloo over loopback")
def test_two_processes_learn_what_one_does(forks: Forks, tmp_path: Path) -> None:
    result = in_a_process(forks, "two_processes.py", tmp_path)
    assert result["ranks agree"] is True
    assert result["as one"] == {"gaussian": True, "duel": True}
    assert result["logs"] == 1
