"""A run as an ``xarray.Dataset`` or a netCDF file: one dimension ``cell``, means with standard errors, variances, histograms; conventions as attributes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sgdsde.runs.reducers import Histogram, Moments
from sgdsde.runs.results import Merged
from sgdsde.store.files import in_words, sync_folder
from sgdsde.types import InputError


def dataset(merged: Merged, cells: Sequence[str], attributes: Mapping[str, Any]) -> Any:
    """For each reducer NAME: NAME_mean, NAME_mean_stderr, NAME_variance, NAME_variance_stderr, NAME_paths, NAME_lost, or NAME_counts with NAME_edge.

    Cells without a block yet are NaN (zero paths).

    Raises:
        ImportError: xarray is not installed.
        InputError: the cells hold reducers of different kinds or shapes under one name.
    """
    try:
        import xarray
    except ImportError as missing:
        raise ImportError("to_xarray needs xarray: pip install 'sgdsde[io]'.") from missing
    variables: dict[str, Any] = {}
    coordinates: dict[str, Any] = {"cell": list(cells)}
    for name in sorted({name for parts in merged.values() for name in parts}):
        parts = [merged.get(cell, {}).get(name) for cell in cells]
        try:
            if any(isinstance(part, Moments) for part in parts):
                variables |= _moments(name, parts)
            else:
                variables |= _histograms(name, parts, coordinates)
        except (ValueError, AttributeError) as error:
            raise InputError(f"{name!r} differs in kind or shape between cells and cannot stand in one variable ({error}).") from None
    return xarray.Dataset(variables, coords=coordinates, attrs=dict(attributes))


def write_netcdf(content: Any, path: Path) -> None:
    """A dataset as netCDF-4, whole or not at all.

    Raises:
        ImportError: h5netcdf or h5py is not installed.
        StorageError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with in_words(path, "write"):
        content.to_netcdf(temporary, engine="h5netcdf")
        os.replace(temporary, path)
    sync_folder(path.parent)


def _moments(name: str, parts: list[Any]) -> dict[str, Any]:
    some = next(part for part in parts if part is not None)
    shape = some.mean.shape
    axes = ("cell", *(f"{name}_axis{axis}" for axis in range(len(shape))))
    nothing, none = np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    means = [None if part is None else part.mean_estimate() for part in parts]
    spreads = [None if part is None else part.variance_estimate() for part in parts]
    return {
        f"{name}_mean": (axes, np.stack([nothing if e is None else np.asarray(e.value) for e in means])),
        f"{name}_mean_stderr": (axes, np.stack([nothing if e is None else np.asarray(e.stderr) for e in means])),
        f"{name}_variance": (axes, np.stack([nothing if e is None else np.asarray(e.value) for e in spreads])),
        f"{name}_variance_stderr": (axes, np.stack([nothing if e is None else np.asarray(e.stderr) for e in spreads])),
        f"{name}_paths": (axes, np.stack([none if part is None else part.count for part in parts])),
        f"{name}_lost": (axes, np.stack([none if part is None else part.lost for part in parts])),
    }


def _histograms(name: str, parts: list[Any], coordinates: dict[str, Any]) -> dict[str, Any]:
    some = next(part for part in parts if isinstance(part, Histogram))
    coordinates[f"{name}_edge"] = some.edges
    none = np.zeros_like(some.counts)
    return {
        f"{name}_counts": (("cell", f"{name}_bin"), np.stack([none if part is None else part.counts for part in parts])),
        f"{name}_lost": (("cell",), np.array([0 if part is None else part.lost for part in parts])),
    }
