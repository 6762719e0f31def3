"""Data: scikit-learn's digits, local files of published sets (small ones written here, damaged ones too), and synthetic ones from a seed."""

from __future__ import annotations

import gzip
import hashlib
import math
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sgdsde import data
from sgdsde.data import Data
from sgdsde.types import InputError

# ---------------------------------------------------------------------------------------------- digits


def test_digits_are_the_known_ones() -> None:
    """Pixel sums and class counts as the UCI repository's optical digits (test part) have them."""
    d = data.digits()
    assert d.x.shape == (1797, 64)
    assert d.x.dtype == torch.float64
    assert (float(d.x.min()), float(d.x.max())) == (0.0, 1.0)
    assert torch.bincount(d.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert d.classes == 10
    assert d.images().shape == (1797, 1, 8, 8)
    assert torch.equal(d.images()[5].flatten(), d.x[5])


def test_digits_of_some_classes_are_relabelled_in_the_order_given() -> None:
    every, two = data.digits(), data.digits(classes=(8, 3))
    assert len(two) == 174 + 183
    assert two.classes == 2
    kept = (every.y == 8) | (every.y == 3)
    assert torch.equal(two.x, every.x[kept])
    assert torch.equal(two.y, (every.y[kept] == 3).long())
    assert data.digits(classes=3).y.unique().tolist() == [0, 1, 2]
    assert len(data.digits(classes=(1, 2), count=30)) == 30
    assert "classes [8, 3]" in two.name
    assert two.digest == every.digest


def test_digits_against_the_rest() -> None:
    odd = data.digits().against((1, 3, 5, 7, 9))
    assert torch.equal(odd.y, data.digits().y % 2)
    assert odd.classes == 2


def test_principal_components_are_those_of_the_singular_value_decomposition() -> None:
    d, k = data.digits(), 5
    projected = data.digits(components=k)
    _, sigma, axes = torch.linalg.svd(d.x - d.x.mean(0), full_matrices=False)
    torch.testing.assert_close(projected.x.norm(dim=0), sigma[:k], rtol=1e-10, atol=0)
    torch.testing.assert_close(projected.x.abs(), ((d.x - d.x.mean(0)) @ axes[:k].T).abs(), rtol=1e-8, atol=1e-9)
    assert float(projected.x.mean(0).abs().max()) < 1e-12
    assert projected.shape == ()
    assert "5 principal components" in projected.name


def test_standardized_features_have_unit_variance_and_constant_ones_vanish() -> None:
    d = data.digits(standardize=True)
    assert float(d.x.mean(0).abs().max()) < 1e-12
    variance = d.x.square().mean(0)
    constant = data.digits().x.std(0) == 0
    assert int(constant.sum()) == 3  # three pixels at the edge are never touched
    torch.testing.assert_close(variance, (~constant).double(), rtol=1e-12, atol=1e-12)
    both = data.digits(standardize=True, components=2)
    torch.testing.assert_close(both.x.norm(dim=0), torch.linalg.svdvals(d.x)[:2], rtol=1e-10, atol=0)


def test_altered_digits_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn import datasets

    source = datasets.load_digits()
    source.data[0, 0] += 1
    monkeypatch.setattr(datasets, "load_digits", lambda: source)
    with pytest.raises(InputError, match="digest"):
        data.digits()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"components": 65}, r"components = 65; wanted an integer in 1…64"),
        ({"components": 0}, "components = 0"),
        ({"classes": 1}, "classes = 1; wanted 2…10"),
        ({"classes": (3,)}, "wanted two or more"),
        ({"classes": (3, 3)}, "wanted different labels among 0…9"),
        ({"classes": (3, 11)}, "wanted different labels among 0…9"),
        ({"count": 1798}, "count = 1798; wanted an integer in 1…1797"),
        ({"count": 0}, "count = 0"),
    ],
)
def test_digits_refuse(settings: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        data.digits(**settings)  # type: ignore[arg-type]


def test_no_class_or_every_class_cannot_stand_against_the_rest() -> None:
    for positive in ((), range(10)):
        with pytest.raises(InputError, match="not none and not all"):
            data.digits().against(positive)
    with pytest.raises(InputError, match="no classes to choose from"):
        data.linear_teacher(0).against((1,))
    with pytest.raises(InputError, match="its features are no pixels"):
        data.digits(components=3).images()


@pytest.mark.parametrize(
    ("x", "y", "classes", "words"),
    [
        (torch.ones(0, 2), torch.ones(0), None, "empty data"),
        (torch.ones(2, 2), torch.ones(3), None, "mismatched lengths: 2 samples"),
        (torch.full((2, 2), math.nan), torch.ones(2), None, "x holds NaN"),
        (torch.ones(2, 2), torch.tensor([0, 5]), 3, r"labels outside the classes: wanted integers 0…2, came 0 to 5"),
        (torch.ones(2, 2), torch.tensor([0.0, 1.0]), 2, "labels outside the classes"),
    ],
)
def test_data_refuse(x: torch.Tensor, y: torch.Tensor, classes: int | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Data(x, y, classes, "made up", "")


# -------------------------------------------------------------------------------------- MNIST and its kin

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


# ---------------------------------------------------------------------------------------------- CIFAR-10


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


# --------------------------------------------------------------------------------------------- synthetic


@pytest.mark.parametrize("make", [data.blobs, data.linear_teacher, data.logistic_teacher])
def test_a_seed_fixes_the_data(make: Callable[..., Data]) -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one, again, other = make(3), make(3), make(4)
    assert torch.equal(one.x, again.x)
    assert torch.equal(one.y, again.y)
    assert one.digest == again.digest != other.digest
    assert torch.equal(torch.get_rng_state(), state)
    assert one.x.dtype == torch.float64


def test_linear_teacher_is_linear_in_its_first_coordinates() -> None:
    d = data.linear_teacher(5, dim=6, count=50, noise=0.0, nonzero=2)
    w = torch.linalg.lstsq(d.x, d.y[:, None]).solution[:, 0]
    assert float(w[2:].abs().max()) < 1e-12
    assert float(w[:2].abs().min()) > 1e-3
    assert d.classes is None


def test_linear_teacher_noise_has_its_standard_deviation() -> None:
    """20,000 residuals: their standard deviation has a standard error of 0.5 %, the bound of 2 % is four of them (false alarm 6e-5); the mutant, a
    variance for a deviation (0.09 for 0.3), is off by 70 %."""
    d = data.linear_teacher(6, dim=3, count=20_000, noise=0.3)
    residual = d.y - d.x @ torch.linalg.lstsq(d.x, d.y[:, None]).solution[:, 0]
    assert float(residual.std()) == pytest.approx(0.3, rel=0.02)
    mutant = data.linear_teacher(6, dim=3, count=20_000, noise=0.3**2)
    residual = mutant.y - mutant.x @ torch.linalg.lstsq(mutant.x, mutant.y[:, None]).solution[:, 0]
    assert float(residual.std()) != pytest.approx(0.3, rel=0.02)


def test_logistic_teacher_has_the_strength_asked_for() -> None:
    """The maximum-likelihood weights of 20,000 samples have length 2 within four standard errors, 4·0.03 (false alarm 6e-5); the mutant of
    strength 1.7 falls outside."""
    from sgdsde.objectives import LogisticRegression

    def length(strength: float) -> float:
        d = data.logistic_teacher(7, dim=3, count=20_000, strength=strength)
        return float(LogisticRegression(d.x, d.y, classes=d.classes).minimizer().norm())

    assert length(2.0) == pytest.approx(2.0, abs=0.12)
    assert length(1.7) != pytest.approx(2.0, abs=0.12)


def test_blobs_have_unit_width_around_separate_centres() -> None:
    """Within-class variance 1: 5,000 samples × 4 features give a standard error of 1 %, the bound is 4 % (false alarm 6e-5; a spread of √2 fails)."""
    d = data.blobs(8, classes=5, dim=4, count=5000, separation=4.0)
    assert torch.bincount(d.y).tolist() == [1000] * 5
    centres = torch.stack([d.x[d.y == c].mean(0) for c in range(5)])
    within = d.x - centres[d.y]
    assert float(within.square().mean()) == pytest.approx(1.0, rel=0.04)
    assert float((2**0.5 * within).square().mean()) != pytest.approx(1.0, rel=0.04)
    assert float(torch.pdist(centres).min()) > 1.0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: data.blobs(1, classes=1), "two classes or more"),
        (lambda: data.blobs(1, classes=5, count=3), "a sample of each"),
        (lambda: data.blobs(-1), "seed = -1"),
        (lambda: data.blobs(1, separation=math.nan), "separation = nan"),
        (lambda: data.linear_teacher(1, dim=0), "dim = 0; wanted an integer ≥ 1"),
        (lambda: data.linear_teacher(1, nonzero=6), "nonzero = 6 exceeds dim = 5"),
        (lambda: data.linear_teacher(1, noise=-1.0), r"noise = -1\.0; wanted a finite number ≥ 0"),
        (lambda: data.logistic_teacher(1, count=0), "count = 0"),
    ],
)
def test_synthetic_data_refuse(make: Callable[[], Data], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()
