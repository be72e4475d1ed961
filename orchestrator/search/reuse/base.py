"""What a sharing rule is, and what the rules for ensembles have in common."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, Protocol


class ReuseRule(Protocol):
    """A family of estimators in which the fit of the largest serves all that differ along some parameters only.

    A rule promises that scores are those of separate fits, bit for bit; where it cannot, ``applies`` says no.
    """

    @property
    def names(self) -> frozenset[str]:
        """The parameters along which candidates may differ; every other is the same for all that share a fit."""

    def applies(self, estimator: Any, rows: int) -> bool:
        """Whether the promise holds for an unfitted estimator (any: check its class) on so many training rows."""

    def size(self, estimator: Any) -> int | None:
        """By which the largest is found; None for values that have to be refused by the estimator itself."""

    def cut(self, largest: Any, member: Any) -> Any:
        """The fitted estimator that the unfitted ``member`` would have become; ``largest`` is fitted and stays."""

    def memoize_prediction(self, largest: Any, members: Sequence[Any], X: Any) -> None:
        """Have all that ``cut`` gave answer for exactly this ``X`` from work done once, if that is possible."""


class Ensemble:
    """A sequence of estimators, each made without regard to how many follow: the first k of many are the k of few."""

    name = "n_estimators"

    @property
    def names(self) -> frozenset[str]:
        """Only how many there are."""
        return frozenset({self.name})

    def size(self, estimator: Any) -> int | None:
        """How many there are."""
        return positive(getattr(estimator, self.name))

    def cut(self, largest: Any, member: Any) -> Any:
        """The first of ``largest``, under the parameters of ``member``."""
        fitted = copy.copy(largest)
        size = getattr(member, self.name)
        setattr(fitted, self.name, size)
        for name, value in self.parts(largest, size).items():
            setattr(fitted, name, value)
        return fitted

    def parts(self, largest: Any, size: int) -> Mapping[str, Any]:
        """The fitted attributes that depend on how many there are."""
        return {"estimators_": largest.estimators_[:size]}

    def memoize_prediction(self, largest: Any, members: Sequence[Any], X: Any) -> None:
        """Nothing: each member predicts by itself."""


def positive(size: Any) -> int | None:
    """A size that can be fitted; None for anything else."""
    whole = isinstance(size, Integral) and not isinstance(size, bool)
    return int(size) if whole and int(size) > 0 else None


def is_seeded(estimator: Any) -> bool:
    """Whether its random numbers are the same in every fit."""
    seed = estimator.random_state
    return isinstance(seed, Integral) and not isinstance(seed, bool)


class MemoizedMethod:
    """A method with its answer for one object (not its equals); for any other it computes."""

    def __init__(self, method: Callable[..., Any], X: Any, answer: Any) -> None:
        self.__name__ = method.__name__  # scikit-learn asks for it
        self._method, self._X, self._answer = method, X, answer

    def __call__(self, X: Any, *args: Any, **options: Any) -> Any:
        """The answer, or what the method says."""
        if X is self._X and not args and not options:
            return self._answer.copy(order="K")  # callers own what they get
        return self._method(X, *args, **options)


def memoize_prediction(member: Any, name: str, X: Any, answer: Any) -> None:
    """Have a fitted estimator's method answer at once for ``X``; all else, such as ``score``, builds on it as ever."""
    setattr(member, name, MemoizedMethod(getattr(member, name), X, answer))
