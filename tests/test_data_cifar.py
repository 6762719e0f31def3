"""CIFAR-10 from local files: small ones written here, damaged ones too, the pickled version never opened."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from sgdsde import data
from sgdsde.types import InputError


def cifar_records(seed: int, count: int = 4) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.concatenate([random.integers(0, 10, (count, 1), dtype=np.uint8), random.integers(0, 256, (count, 3072), dtype=np.uint8)], 1)


def write_cifar(folder: Path) -> list[np.ndarray]:
    batches = [cifar_records(i) for i in range(1, 6)]
    for i, records in enumerate(batches, 1):
        (folder / f"data_batch_{i}.bin").write_bytes(records.tobytes())
    return batches


def test_cifar(tmp_path: Path) -> None:
    table = np.concatenate(write_cifar(tmp_path))
    d = data.cifar10(tmp_path)
    assert d.x.shape == (20, 3072)
    np.testing.assert_array_equal(np.rint(d.x.numpy() * 255), table[:, 1:])
    assert d.y.tolist() == table[:, 0].tolist()
    red = d.images()[7, 0]  # planes, row by row
    np.testing.assert_array_equal(np.rint(red.numpy() * 255).flatten(), table[7, 1:1025])
    part = data.cifar10(tmp_path, count=6)
    assert torch.equal(part.x, d.x[:6])
    first = hashlib.sha256((tmp_path / "data_batch_1.bin").read_bytes()).hexdigest()
    assert len(data.cifar10(tmp_path, sha256={"data_batch_1.bin": first})) == 20
    with pytest.raises(InputError, match="SHA-256"):
        data.cifar10(tmp_path, sha256={"data_batch_2.bin": first})


def test_cifar_test_split(tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(cifar_records(0).tobytes())
    assert len(data.cifar10(tmp_path, split="test")) == 4
    with pytest.raises(InputError, match="count = 9; wanted an integer in 1…4"):
        data.cifar10(tmp_path, split="test", count=9)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (cifar_records(2).tobytes()[:-1], r"12291 bytes, no whole number of records of 3073 bytes: it is truncated"),
        (b"", "0 bytes, no whole number"),
        (b"\x0b" + bytes(3072), "labels outside the classes: 11; wanted 0…9"),
        (bytes(3073 * 10_001), "at most 30730000"),
    ],
)
def test_damaged_cifar(content: bytes, words: str, tmp_path: Path) -> None:
    write_cifar(tmp_path)
    (tmp_path / "data_batch_2.bin").write_bytes(content)
    with pytest.raises(InputError, match=words):
        data.cifar10(tmp_path)


def test_pickled_cifar_is_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "opened",))

    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="pickled version of CIFAR-10, which is never opened here"):
        data.cifar10(tmp_path)
    assert not (tmp_path / "opened").exists()
