"""The folder of a comparison: everything that is finished lies there whole, so that a killed comparison goes on.

A gallery has such a folder for each toy; its board is `gallery.json`.

comparison.json          what is compared, and the finished board
rows/MODEL.json          a row, with all that stands behind it
models/MODEL.safetensors the fitted model, and MODEL.json, what its fit took
samples/MODEL.parquet    the records that were judged
checkpoints/MODEL/       of a fit under way
rounds/MODEL/            what a fit had reached after parts of its budget
report.html
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from likewise.atomic import atomic_path
from likewise.board.halving import Hearing
from likewise.domains.table.sources import Source
from likewise.domains.table.vectors import Vector
from likewise.errors import DataError

FORMAT = 1
PARTS = ("rows", "models", "samples", "checkpoints", "rounds")


class Folder:
    """The files of one comparison, or of one toy of a gallery.

    Parameters
    ----------
    path : Path
        Created when needed.
    lasting : bool
        Whether it is there to stay; a folder that the user has not named vanishes with the comparison.
    holds : str
        What lies in it, in a word.
    """

    def __init__(self, path: Path, *, lasting: bool = True, holds: str = "comparison") -> None:
        self.path, self.lasting, self.holds = path, lasting, holds
        self._board = f"{holds}.json"
        if path.exists() and not path.is_dir():
            raise DataError(f"{str(path)!r} is a file; a {holds} is kept in a folder.")

    def claim(self, made_of: Mapping[str, Any], *, overwrite: bool) -> None:
        """Takes the folder for a comparison that is made of this, or goes on with it where it lies there.

        Raises
        ------
        DataError
            When another comparison lies there and may not be overwritten, naming what differs, or files of which
            nothing is known.
        """
        wanted = json.loads(json.dumps({"format": FORMAT, **made_of}))
        found = self._stored(self._board)
        differing = [] if found is None else _differing(found.get("made_of", {}), wanted)
        if differing and overwrite:
            self.clear()
            found = None
        elif differing:
            raise DataError(
                f"{str(self.path)!r} holds another {self.holds} ({'; '.join(differing)}): name another folder, or "
                "overwrite what is there."
            )
        if found is None:
            strange = [part for part in PARTS if (self.path / part).exists()]
            if strange:
                raise DataError(
                    f"{str(self.path)!r} holds {strange[0]!r} and no {self.holds} that can be read: "
                    "name another folder."
                )
            self.path.mkdir(parents=True, exist_ok=True)
            self._write(self._board, {"made_of": wanted})
        for part in PARTS:
            (self.path / part).mkdir(exist_ok=True)

    def clear(self) -> None:
        """Removes what a comparison has written, and nothing else."""
        for part in PARTS:
            shutil.rmtree(self.path / part, ignore_errors=True)
        (self.path / self._board).unlink(missing_ok=True)

    def finish(self, board: Mapping[str, Any]) -> None:
        """Keeps the finished board beside what it is made of."""
        found = self._stored(self._board) or {}
        self._write(self._board, {"made_of": found.get("made_of", {}), **board})

    def board(self) -> dict[str, Any]:
        """What is known of the whole: what it is made of, and its rows once they are finished."""
        return self._stored(self._board) or {}

    def row(self, name: str) -> dict[str, Any] | None:
        """A finished row, or None."""
        return self._stored(f"rows/{name}.json")

    def keep_row(self, name: str, content: Mapping[str, Any]) -> None:
        self._write(f"rows/{name}.json", content)

    def forget(self, name: str) -> None:
        """Removes everything of one model."""
        for path in (self.model(name), self.samples(name), self.path / f"rows/{name}.json", self._fit(name)):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.path / "rounds" / name, ignore_errors=True)
        self._forget_checkpoint(name)

    def model(self, name: str) -> Path:
        return self.path / "models" / f"{name}.safetensors"

    def samples(self, name: str) -> Path:
        return self.path / "samples" / f"{name}.parquet"

    def checkpoint(self, name: str) -> Path:
        return self.path / "checkpoints" / name

    def limit(self, name: str, part: int, limit: float | None) -> float | None:
        """The limit of a part of a fit: the one that it was given first, so that what was killed is resumed as it was.

        Parts are counted from 1.
        """
        (self.path / "checkpoints").mkdir(exist_ok=True)
        file = f"checkpoints/{name}.json"
        found = self._stored(file)
        begun = found is not None and found.get("part") == part and "limit" in found
        if found is None or not begun or not list(self.checkpoint(name).glob("checkpoint-*.safetensors")):
            self._write(file, {"part": part, "limit": limit})
            return limit
        given: float | None = found["limit"]
        return given

    def hearings(self, name: str, settings: Mapping[str, str]) -> list[Hearing]:
        """What a fit with these settings had reached after the parts of its budget that are over."""
        found: list[Hearing] = []
        while (stored := self._stored(f"rounds/{name}/{len(found) + 1}.json")) is not None:
            try:
                if stored["settings"] != dict(settings):
                    break
                found.append(Hearing.from_json(stored["hearing"]))
            except (KeyError, TypeError):
                break
        return found

    def keep_hearing(self, name: str, part: int, hearing: Hearing, settings: Mapping[str, str]) -> None:
        (self.path / "rounds" / name).mkdir(parents=True, exist_ok=True)
        self._write(f"rounds/{name}/{part}.json", {"settings": dict(settings), "hearing": hearing.to_json()})

    def fitted(self, name: str) -> dict[str, Any] | None:
        """What is known of a fit that is finished and whose model is saved; None where there is none."""
        return self._stored(f"models/{name}.json") if self.model(name).exists() else None

    def keep_fit(self, name: str, facts: Mapping[str, Any]) -> None:
        """Says that the saved model is whole; its checkpoints are needed no longer."""
        self._write(f"models/{name}.json", facts)
        self._forget_checkpoint(name)

    def _forget_checkpoint(self, name: str) -> None:
        shutil.rmtree(self.checkpoint(name), ignore_errors=True)
        (self.path / f"checkpoints/{name}.json").unlink(missing_ok=True)

    def keep_samples(self, name: str, source: Source) -> None:
        """Writes the records that were judged as Parquet."""
        with atomic_path(self.samples(name)) as temporary:
            pa.parquet.write_table(as_arrow(source), temporary)

    def _fit(self, name: str) -> Path:
        return self.path / f"models/{name}.json"

    def _stored(self, name: str) -> dict[str, Any] | None:
        try:
            found = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        with atomic_path(self.path / name) as temporary:
            temporary.write_text(json.dumps(content, allow_nan=False, ensure_ascii=False), encoding="utf-8")


def _differing(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    return [f"{name} was {made.get(name)}, now {wanted[name]}" for name in wanted if made.get(name) != wanted[name]]


def as_arrow(source: Source) -> pa.Table:
    """Records as an arrow table, whatever they came from."""
    return pa.table([_array(vector) for vector in source.vectors], names=list(source.names))


def _array(vector: Vector) -> pa.Array:
    if vector.family == "label":
        texts = any(isinstance(level, str) for level in vector.levels)
        levels = pa.array([str(level) if texts else level for level in vector.levels] + [None])
        return levels.take(pa.array(vector.data.astype("int64"), mask=vector.missing))
    if vector.family != "moment":
        return pa.array(vector.data, mask=vector.missing)
    if vector.span == "clock":
        kind = pa.time32(vector.unit) if vector.unit in ("s", "ms") else pa.time64(vector.unit)
        whole = pa.int32() if vector.unit in ("s", "ms") else pa.int64()
        return pa.array(vector.data, mask=vector.missing).cast(whole).cast(kind)
    if vector.span == "duration" or vector.unit != "D":
        kind = pa.duration(vector.unit) if vector.span else pa.timestamp(vector.unit)
        return pa.array(vector.data, mask=vector.missing).cast(kind)
    return pa.array(vector.data, mask=vector.missing).cast(pa.int32()).cast(pa.date32())
