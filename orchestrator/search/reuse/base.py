"""The interface of a reuse rule, and what the rules for ensembles have in common."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, Protocol


class ReuseRule(Protocol):
    """A family of estimators in which the fit of the largest serves all that differ in some parameters only.

    A rule guarantees the scores of separate fits, bit for bit; where it cannot, ``applies`` returns False.
    """

    @property
    def parameter_names(self) -> frozenset[str]:
        """The parameters in which candidates may differ; all others are equal for those that share a fit."""

    def applies(self, estimator: Any, rows: int) -> bool:
        """Return whether the guarantee holds for an unfitted estimator of any class on this number of training rows."""

    def size(self, estimator: Any) -> int | None:
        """Return the size by which the largest is chosen; None for a value that the estimator itself must refuse."""

    def truncate_to(self, largest: Any, member: Any) -> Any:
        """Return ``member`` as its own fit would leave it, without changing the fitted ``largest``."""

    def memoize_prediction(self, largest: Any, members: Sequence[Any], X: Any) -> None:
        """Compute the predictions of all truncated ``members`` for exactly this ``X`` at once, if that is possible."""


class EnsembleRule:
    """A sequence of estimators that do not depend on how many follow: the first k of many are the ensemble of k."""

    size_parameter = "n_estimators"

    @property
    def parameter_names(self) -> frozenset[str]:
        """The number of estimators."""
        return frozenset({self.size_parameter})

    def size(self, estimator: Any) -> int | None:
        """Return the number of estimators."""
        return positive_int(getattr(estimator, self.size_parameter))

    def truncate_to(self, largest: Any, member: Any) -> Any:
        """Return the first estimators of ``largest``, with the parameters of ``member``."""
        fitted = copy.copy(largest)
        size = getattr(member, self.size_parameter)
        setattr(fitted, self.size_parameter, size)
        for name, value in self.truncated_attributes(largest, size).items():
            setattr(fitted, name, value)
        return fitted

    def truncated_attributes(self, largest: Any, size: int) -> Mapping[str, Any]:
        """Return the fitted attributes that depend on the number of estimators."""
        return {"estimators_": largest.estimators_[:size]}

    def memoize_prediction(self, largest: Any, members: Sequence[Any], X: Any) -> None:
        """Do nothing: each member predicts by itself."""


def positive_int(size: Any) -> int | None:
    """Return a size that can be fitted; None for anything else."""
    whole = isinstance(size, Integral) and not isinstance(size, bool)
    return int(size) if whole and int(size) > 0 else None


def is_seeded(estimator: Any) -> bool:
    """Return whether its random numbers are the same in every fit."""
    seed = estimator.random_state
    return isinstance(seed, Integral) and not isinstance(seed, bool)


class MemoizedMethod:
    """A method with a stored answer for one object (not its equals); it computes for any other."""

    def __init__(self, method: Callable[..., Any], X: Any, answer: Any) -> None:
        self.__name__ = method.__name__  # scikit-learn looks at it
        self._method, self._X, self._answer = method, X, answer

    def __call__(self, X: Any, *args: Any, **options: Any) -> Any:
        """Return the stored answer, or call the method."""
        if X is self._X and not args and not options:
            return self._answer.copy(order="K")  # the caller may change it
        return self._method(X, *args, **options)


def attach_prediction(member: Any, name: str, X: Any, answer: Any) -> None:
    """Store the answer of a fitted estimator's method for ``X``; methods built on it, such as ``score``, use it too."""
    setattr(member, name, MemoizedMethod(getattr(member, name), X, answer))
