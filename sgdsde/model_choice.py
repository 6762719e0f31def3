"""The models of a comparison as they are given: names, classes, callables or SDEs, in a list or by label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sgdsde.noise import Noise
from sgdsde.sde import SDE
from sgdsde.types import InputError, suggest


def labelled(models: Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
    """The models by label: a mapping as it is, others under their names.

    Raises:
        InputError: there are none, or two of one name.
    """
    if not isinstance(models, Mapping):
        several = models if isinstance(models, Iterable) and not isinstance(models, str) else [models]
        pairs = [(m if isinstance(m, str) else getattr(m, "__name__", type(m).__name__), m) for m in several]
        models = dict(pairs)
        if len(models) < len(pairs):
            raise InputError(f"Two models have one name among {[name for name, _ in pairs]}; give labels: models={{'mine': model, 'other': another}}.")
    if not models:
        raise InputError("models is empty; name at least one, for example models=['SME1', 'HASME'].")
    return dict(models)


def build(model: Any, noise: Noise, eta: float) -> SDE:
    """The SDE of a name, a class or another callable ``(noise, eta) -> SDE``; an SDE as it is.

    Raises:
        InputError: no such model, another noise dimension than that of ``noise``, or no SDE came of it.
    """
    import sgdsde.sdes as sdes

    if isinstance(model, str):
        known = [name for name in sdes.__all__ if isinstance(getattr(sdes, name), type) and issubclass(getattr(sdes, name), SDE)]
        if model not in known:
            raise InputError(f"{model!r} is no model." + suggest(model, known))
        model = getattr(sdes, model)
    if isinstance(model, SDE):
        if model.noise_dim not in (0, noise.root_dim):
            raise InputError(f"{type(model).__name__} was built on a noise with {model.noise_dim} components; pass its class, for the Gaussian surrogate.")
        return model
    built = model(noise, eta) if callable(model) else model
    if not isinstance(built, SDE):
        raise InputError(f"models: {model!r:.200} gave {type(built).__name__}; wanted an SDE, its name, its class or another callable (noise, eta) -> SDE.")
    return built
