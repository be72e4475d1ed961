"""A module outside of the orchestrator, as test data: what it brings goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sklearn.base import BaseEstimator, TransformerMixin

from orchestrator.artifacts import ModelVersion
from orchestrator.deploy.local.target import Local
from orchestrator.deploy.target import Deployment


@dataclass(frozen=True, kw_only=True)
class Mistaken(Local):
    """Serves the package it is given and claims to serve another: the endpoint test must find out."""

    claims: Path

    def deploy(self, version: ModelVersion) -> Deployment:
        deployment = super().deploy(version)
        package = replace(version.package, path=self.claims)
        return replace(deployment, endpoint=replace(deployment.endpoint, package=package))


class Lost(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer that neither ships in ``score/`` nor belongs to a distribution."""

    def fit(self, X: object, y: object = None) -> Lost:  # noqa: ARG002 - scikit-learn's signature
        self.fitted_ = True
        return self

    def transform(self, X: object) -> object:
        return X


class Half:
    """No target: most of the methods are missing."""

    def deploy(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Withdrawn(Local):
    """Serves well, and meanwhile another user deletes the version in the registry: it cannot be promoted."""

    store: str

    def deploy(self, version: ModelVersion) -> Deployment:
        from mlflow import MlflowClient

        deployment = super().deploy(version)
        MlflowClient(self.store, self.store).delete_model_version(version.name, version.version)
        return deployment
