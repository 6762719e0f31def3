"""MNIST and its kin from local files: small ones written here, damaged ones too."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sgdsde import data
from sgdsde.data import Data
from sgdsde.types import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
MARKS = np.arange(12, dtype=np.uint8) % 10


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder: Path, images: bytes | None = None, labels: bytes | None = None, *, zipped: bool = False, prefix: str = "train") -> None:
    for kind, content in (("images-idx3-ubyte", images or idx(PIXELS)), ("labels-idx1-ubyte", labels or idx(MARKS))):
        if zipped:
            (folder / f"{prefix}-{kind}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / f"{prefix}-{kind}").write_bytes(content)


@pytest.mark.parametrize("load", [data.mnist, data.fashion_mnist])
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files(load: Callable[..., Data], zipped: bool, tmp_path: Path) -> None:
    write_mnist(tmp_path, zipped=zipped)
    d = load(tmp_path)
    assert d.x.shape == (12, 784)
    np.testing.assert_array_equal(np.rint(d.images()[:, 0].numpy() * 255), PIXELS)
    assert d.y.tolist() == MARKS.tolist()
    assert d.classes == 10
    assert d.digest == hashlib.sha256(idx(PIXELS) + idx(MARKS)).hexdigest()
    assert "not the official files" in d.name
    assert load(tmp_path, dtype=torch.float32).x.dtype == torch.float32
    part = load(str(tmp_path), count=5)
    assert torch.equal(part.x, d.x[:5])
    assert "first 5" in part.name


def test_test_split_has_its_own_files(tmp_path: Path) -> None:
    write_mnist(tmp_path, prefix="t10k")
    assert len(data.mnist(tmp_path, split="test")) == 12
    with pytest.raises(InputError, match=r"does not hold train-images-idx3-ubyte or train-images-idx3-ubyte\.gz .*holds t10k-images"):
        data.mnist(tmp_path)
    with pytest.raises(InputError, match=r"split = 'tset' is unknown\. Did you mean 'test'"):
        data.mnist(tmp_path, split="tset")


def test_digests_of_files_are_verified(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    name = "train-images-idx3-ubyte"
    right = hashlib.sha256(idx(PIXELS)).hexdigest()
    assert len(data.mnist(tmp_path, sha256={name: right.upper()})) == 12
    with pytest.raises(InputError, match=f"SHA-256 {right}; wanted 0000"):
        data.mnist(tmp_path, sha256={name: "0" * 64})
    with pytest.raises(InputError, match=r"sha256 names 'train-image', which was not read\. Did you mean 'train-images-idx3-ubyte'"):
        data.mnist(tmp_path, sha256={"train-image": right})


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (idx(PIXELS)[:-100], None, r"truncated: 9324 bytes, its header \(12, 28, 28\) promises 9424"),
        (idx(PIXELS) + b"x", None, "too long: 9425 bytes"),
        (idx(PIXELS)[:10], None, "less than an IDX header"),
        (b"\x80\x04" + idx(PIXELS)[2:], None, "begins with 80040803; an IDX file of bytes with 3 axes begins with 00000803"),
        (idx(MARKS), None, "begins with 00000801"),
        (idx(PIXELS[:, :20]), None, "20×28 pixels; MNIST has 28×28"),
        (idx(PIXELS[:0]), idx(MARKS[:0]), "holds no sample: empty data"),
        (None, idx(MARKS[:7]), "mismatched lengths: 12 images, 7 labels"),
        (None, idx(MARKS + 1), "labels outside the classes: 10; wanted 0…9"),
        (b"\x00\x00\x08\x03" + struct.pack(">3I", 2**31, 28, 28), None, "truncated"),
        (bytes(48_000_000), None, "has 48000000 bytes; a file of this kind has at most 47040016"),
    ],
)
def test_damaged_idx_files(images: bytes | None, labels: bytes | None, words: str, tmp_path: Path) -> None:
    write_mnist(tmp_path, images, labels)
    with pytest.raises(InputError, match=words):
        data.mnist(tmp_path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: content[:-20], "truncated or damaged"),
        (lambda content: b"not gzip" + content, "truncated or damaged"),
        (lambda content: content[:200] + bytes(50) + content[250:], "truncated or damaged"),
        (lambda content: gzip.compress(bytes(48_000_000)), "more than 47040016 bytes once decompressed"),
    ],
)
def test_damaged_compressed_files(damage: Callable[[bytes], bytes], words: str, tmp_path: Path) -> None:
    write_mnist(tmp_path, zipped=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=words):
        data.mnist(tmp_path)


def test_official_size_with_other_content_needs_a_voucher(tmp_path: Path) -> None:
    """10,000 blank images are no test split of MNIST, however right their sizes; with their digest they are taken for what they are."""
    images, labels = idx(np.zeros((10_000, 28, 28), np.uint8)), idx(np.zeros(10_000, np.uint8))
    write_mnist(tmp_path, images, labels, prefix="t10k")
    with pytest.raises(InputError, match=r"official size but not the official content of MNIST.*sha256=\{'t10k-images-idx3-ubyte': …\}"):
        data.mnist(tmp_path, split="test")
    vouched = {"t10k-images-idx3-ubyte": hashlib.sha256(images).hexdigest(), "t10k-labels-idx1-ubyte": hashlib.sha256(labels).hexdigest()}
    assert "not the official files" in data.mnist(tmp_path, split="test", sha256=vouched, count=3, dtype=torch.float32).name


def test_files_of_the_other_set_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The published digests are replaced by those of small files: the rule is what is tested."""
    mine, theirs = idx(PIXELS), idx(255 - PIXELS)
    digests = [hashlib.md5(content, usedforsecurity=False).hexdigest() for content in (mine, theirs, idx(MARKS))]
    table = {"MNIST": {"train": (digests[0], digests[2]), "test": ("", "")}, "Fashion-MNIST": {"train": (digests[1], "x"), "test": ("", "")}}
    monkeypatch.setattr("sgdsde.data.idx._OFFICIAL", table)
    write_mnist(tmp_path)
    assert data.mnist(tmp_path).name == "MNIST, train split"
    write_mnist(tmp_path, theirs)
    with pytest.raises(InputError, match=r"is a file of Fashion-MNIST \(train split\), not of MNIST"):
        data.mnist(tmp_path)


def test_a_folder_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder; wanted the folder that holds the files"):
        data.mnist(tmp_path / "missing")
    with pytest.raises(InputError, match="it holds nothing"):
        data.cifar10(tmp_path)
