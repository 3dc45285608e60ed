"""The few errors a user can meet. Each message is one sentence that says what to do."""


class LikewiseError(Exception):
    """The base of every error that likewise raises on purpose."""


class DataError(LikewiseError, ValueError):
    """The records cannot be used as they are: names the column, the row and what was expected."""


class NotSupported(LikewiseError, NotImplementedError):
    """A family cannot do what was asked: names one that can, where there is one."""


class TrainingDiverged(LikewiseError, RuntimeError):
    """The loss exploded or left the finite numbers again and again.

    Attributes
    ----------
    curve : list of (int, float)
        Steps and losses up to the failure.
    """

    def __init__(self, message: str, curve: list[tuple[int, float]] | None = None) -> None:
        super().__init__(message)
        self.curve = curve or []


class ModelFileError(LikewiseError, ValueError):
    """A model file is damaged, hostile or written by a later version."""
