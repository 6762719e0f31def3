"""Training: steps against PyTorch's own optimiser and layers, streams that do not depend on company, stop rules, recorders against dense matrices."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

import sgdsde as sg
from sgdsde import training as tr
from sgdsde.calculus import grad, hessian, sample_grads
from sgdsde.rng import stream
from sgdsde.training.layers import BatchStatistics
from sgdsde.types import InputError, Status


def data(n: int = 24) -> tuple[Tensor, Tensor]:
    generator = stream(11, "test data")
    return torch.randn(n, 5, generator=generator, dtype=torch.float64), torch.arange(n) % 3


def plain(n: int = 24, activation: type[nn.Module] = nn.Tanh) -> sg.objectives.Network:
    x, y = data(n)
    return sg.objectives.Network(nn.Sequential(nn.Linear(5, 6), activation(), nn.Linear(6, 3)).double(), "cross_entropy", x, y)


def modal(n: int = 24, share: float = 0.3) -> tr.TrainingNetwork:
    x, y = data(n)
    layers = [nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(share), nn.Linear(6, 3)]
    return tr.TrainingNetwork(nn.Sequential(*layers).double(), "cross_entropy", x, y)


def start(network: sg.objectives.Network, paths: int, seed: int = 0) -> Tensor:
    return network.initial(paths, stream(seed, "start")).double()


@pytest.mark.parametrize("momentum", [0.0, 0.8])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_full_batch_steps_are_those_of_torch(momentum: float, decay: float) -> None:
    network = plain()
    theta = start(network, 1)
    module = network.module_at(theta[0])
    torchs = torch.optim.SGD(module.parameters(), lr=0.3, momentum=momentum, weight_decay=decay)
    for _ in range(20):
        torchs.zero_grad()
        nn.functional.cross_entropy(module(network.inputs.original), network.targets.original).backward()
        torchs.step()
    run = tr.train(network, theta, optimiser=tr.SGD(0.3, momentum, decay), batch_size=24, steps=20, seed=1)
    assert torch.allclose(run.final[0], network.flatten(module), atol=1e-13)
    mutant = tr.train(network, theta, optimiser=tr.SGD(0.3, momentum + 0.05, decay), batch_size=24, steps=20, seed=1)
    assert not torch.allclose(mutant.final[0], network.flatten(module), atol=1e-6)


def test_sam_is_a_step_with_the_gradient_at_the_worst_point() -> None:
    network = plain()
    theta = start(network, 3)
    g = grad(network, theta)
    worst = grad(network, theta + 0.2 * g / g.norm(dim=1, keepdim=True))
    run = tr.train(network, theta, optimiser=tr.SAM(0.1, radius=0.2), batch_size=24, steps=1, seed=1)
    assert torch.allclose(run.final, theta - 0.1 * worst, atol=1e-14)
    whole = grad(network, theta + 0.2 * g / g.norm())  # mutant: one norm over all paths
    assert not torch.allclose(run.final, theta - 0.1 * whole, atol=1e-6)


def test_a_path_does_not_depend_on_its_company_or_on_when_that_stops() -> None:
    network = modal()
    theta = start(network.frozen, 4)
    options = {"optimiser": tr.SGD(0.5), "batch_size": 6, "steps": 60, "seed": 3}
    alone = tr.train(network, theta, **options)  # type: ignore[arg-type]
    stopped = tr.train(network, theta, stop=tr.LossBelow(level=0.9), **options)  # type: ignore[arg-type]
    assert int((stopped.status == int(Status.EXITED)).sum()) >= 1
    late = stopped.status == int(Status.CENSORED)
    assert torch.allclose(stopped.final[late], alone.final[late], atol=1e-9)
    assert not torch.allclose(alone.final[0], alone.final[1], atol=1e-3)
    once_more = tr.train(network, theta, save=[int(stopped.ended.min())], **options)  # type: ignore[arg-type]
    first = int(stopped.ended.argmin())
    assert torch.allclose(once_more.states[0, first], stopped.final[first], atol=1e-9)


def test_an_epoch_shows_every_sample_once_and_other_samplings_are_named() -> None:
    from sgdsde.training.batches import Batches

    batches = Batches(10, 3, "epoch", [stream(1, "a"), stream(2, "b")])
    epochs = [torch.cat([batches.at(3 * e + k) for k in range(3)], 1) for e in range(2)]  # type: ignore[misc]
    assert all(len(set(row.tolist())) == 9 for epoch in epochs for row in epoch)
    assert not torch.equal(epochs[0], epochs[1])
    again = Batches(10, 3, "with replacement", [stream(1, "a")])
    assert any(len(set(again.at(k)[0].tolist())) < 3 for k in range(50))  # type: ignore[index]
    apart = Batches(10, 3, "without replacement", [stream(1, "a")])
    assert all(len(set(apart.at(k)[0].tolist())) == 3 for k in range(50))  # type: ignore[index]
    assert Batches(10, 10, "epoch", [stream(1, "a")]).at(0) is None


@pytest.mark.parametrize("convolution", [False, True])
def test_batch_norm_is_torchs_in_both_modes(convolution: bool) -> None:
    """In training mode by the batch's statistics; in evaluation mode at those of the whole training set, found layer after layer."""
    generator = stream(5, "images")
    if convolution:
        x = torch.randn(12, 2, 5, 5, generator=generator, dtype=torch.float64)
        module = nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 4), nn.BatchNorm1d(4)).double()
    else:
        x = torch.randn(12, 5, generator=generator, dtype=torch.float64)
        module = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 4), nn.BatchNorm1d(4, affine=False)).double()
    y = torch.arange(12) % 4
    network = tr.TrainingNetwork(module, "cross_entropy", x, y)
    theta = start(network.frozen, 2) + 0.1
    reference = copy.deepcopy(module)
    for point, found in zip(theta, network.outputs(theta), strict=True):
        named = dict(reference.named_parameters())
        for name, value in network.frozen.unflatten(point[None]).items():
            named[name].data.copy_(value[0])
        reference.train()
        loss = nn.functional.cross_entropy(reference(x[:7]), y[:7])
        wanted = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(named.values()))])
        got = network.grad(point[None], torch.arange(7)[None], {})[0]
        assert torch.allclose(got, wanted, atol=1e-12)
        with torch.no_grad():  # over all samples training mode is evaluation mode
            assert torch.allclose(found, reference(x), atol=1e-12)
            answers = network.outputs(point[None], x[:3])[0]
            assert torch.allclose(answers, found[:3], atol=1e-12)  # a sample's answer does not depend on its company
    assert network.mode.count("BatchNorm") == 2
    assert network.smallest_batch == 2


def test_the_unbiased_variance_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = BatchStatistics.forward

    def mutant(self: BatchStatistics, x: Tensor) -> Tensor:
        return forward(self, x) * math.sqrt((len(x) - 1) / len(x))

    monkeypatch.setattr(BatchStatistics, "forward", mutant)
    with pytest.raises(AssertionError):
        test_batch_norm_is_torchs_in_both_modes(False)


def test_dropout_masks_are_unbiased_explicit_and_absent_in_evaluation() -> None:
    """Mean of 20,000 mask entries with p = .3: 1 ± .0046; false alarm 1e-6, resolving .03; a mutant without 1/(1−p) has mean .7."""
    network = modal(n=24, share=0.3)
    theta = start(network.frozen, 1)
    batch = torch.arange(24)[None]
    masks = network.draw(theta, 24, [stream(1, "m")])
    assert {name: tuple(mask.shape) for name, mask in masks.items()} == {"3.mask": (1, 24, 6)}
    many = torch.cat([network.draw(theta, 24, [stream(1, "m", k)])["3.mask"].flatten() for k in range(140)])
    sg.stats.check_mean(many, 1.0)
    with pytest.raises(sg.stats.CheckFailed):
        sg.stats.check_mean(many * 0.7, 1.0)
    none = {"3.mask": torch.ones(1, 24, 6, dtype=torch.float64)}
    assert torch.allclose(network.losses(theta, batch, none).mean(1), network.evaluate(theta).loss)
    assert not torch.allclose(network.losses(theta, batch, masks).mean(1), network.evaluate(theta).loss)
    assert torch.equal(network.losses(theta, batch, masks), network.losses(theta, batch, masks))


def test_stop_rules_freeze_each_path_where_it_met_them() -> None:
    network = plain()
    theta = start(network, 6)
    rule = tr.TrainAccuracy(share=0.6, every=5)
    run = tr.train(network, theta, optimiser=tr.SGD(0.4), batch_size=8, steps=400, seed=2, stop=rule, save=[0, 400])
    done = run.status == int(Status.EXITED)
    assert bool(done.any())
    assert bool((tr.Plain(network).evaluate(run.final).accuracy[done] >= 0.6).all())
    assert bool((run.ended[done] % 5 == 0).all())
    assert torch.equal(run.states[1][done], run.final[done])
    assert torch.equal(run.states[0], theta)
    assert "99" not in run.protocol
    assert "0.6" in run.protocol


def test_a_diverging_path_is_told_and_harms_no_other() -> None:
    objective = sg.objectives.DoubleWell(2)
    run = tr.train(objective, torch.tensor([[0.5, 0.5], [50.0, 0.0]]).double(), optimiser=tr.SGD(0.1), batch_size=1, steps=50, seed=0)
    assert run.status.tolist() == [int(Status.OK), int(Status.DIVERGED)]
    assert torch.isfinite(run.final[0]).all()
    assert torch.isnan(run.final[1]).all()
    assert run.diverged().tolist() == [False, True]


def test_lambda_max_of_many_paths_is_that_of_dense_hessians() -> None:
    network = plain()
    theta = 2 * start(network, 5)
    exact = torch.linalg.eigvalsh(hessian(network, theta))[:, -1]
    found = tr.largest_eigenvalues(network, theta, tolerance=1e-6)
    assert torch.allclose(found.values, exact, rtol=1e-9)
    assert bool((found.residuals <= 1e-6 * found.values).all())
    assert bool((found.values <= exact * (1 + 1e-12)).all()), "Ritz values bound λmax from below"
    warm = tr.largest_eigenvalues(network, theta, tolerance=1e-6, start=found.vectors)
    assert warm.products <= found.products
    quadratic = sg.objectives.Quadratic([3.0, 1.0, -5.0])  # an invariant space is reached, and −5 is not the largest
    assert torch.allclose(tr.largest_eigenvalues(quadratic, torch.zeros(2, 3).double()).values, torch.tensor(3.0).double())


def test_recorders_agree_with_dense_matrices() -> None:
    """Exact ones to rounding; those by random vectors within 4.9 of their standard errors (false alarm 1e-6), which are below 15 %."""
    network = plain()
    theta = 2 * start(network, 3)
    recorders: dict[str, tr.Recorder] = {
        "lambda": tr.LambdaMax(tolerance=1e-6),
        "first": tr.LambdaMax(samples=10, tolerance=1e-6),
        "trace": tr.TraceHessian(vectors=400),
        "second": tr.TraceSecondMoment(),
        "aligned": tr.NoiseAlignedSharpness(vectors=400),
        "differences": tr.LossDifferences(redraws=400),
        "angle": tr.StepAngle(),
    }
    run = tr.train(network, theta, optimiser=tr.SGD(0.2), batch_size=6, steps=8, seed=4, record=recorders, at=(0, 8), sampling="without replacement")
    H, G = hessian(network, theta), sample_grads(network, theta)
    mean = G.mean(1)
    covariance = (G - mean[:, None]).transpose(1, 2) @ (G - mean[:, None]) / 24 / 6
    assert torch.allclose(run.recorded["lambda"].values[0], torch.linalg.eigvalsh(H)[:, -1], rtol=1e-8)
    first = tr.FirstSamples(network, 10)
    assert torch.allclose(run.recorded["first"].values[0], torch.linalg.eigvalsh(hessian(first, theta))[:, -1], rtol=1e-8)
    assert torch.allclose(run.recorded["second"].values[0], (G**2).sum(2).mean(1), rtol=1e-12)
    for name, wanted in (("trace", H.diagonal(dim1=1, dim2=2).sum(1)), ("aligned", (H * covariance).sum((1, 2)))):
        value, error = run.recorded[name].values[0].unbind(1)
        assert bool(((value - wanted).abs() < 4.9 * error).all()), name
        assert bool((error < 0.15 * wanted.abs()).all()), name
    batch = covariance * (24 - 6) / 23
    expected = -0.2 * (mean**2).sum(1) + 0.02 * ((mean[:, None] @ H @ mean[:, :, None])[:, 0, 0] + (H * batch).sum((1, 2)))
    drawn = run.recorded["differences"].values[0]
    rest = 0.2 * expected.abs()  # the third order in η
    assert bool(((drawn.mean(1) - expected).abs() < 4.9 * drawn.std(1) / 20 + rest).all())
    assert bool((drawn.diff(dim=1) >= 0).all())
    assert torch.isnan(run.recorded["angle"].values[0]).all()
    assert 0 < run.recording_share < 1
    assert "recorders took" in run.protocol


def test_angles_are_the_mean_cosines_of_the_steps_since_the_last_visit() -> None:
    network = plain()
    theta = start(network, 2)
    run = tr.train(network, theta, optimiser=tr.SGD(0.3), batch_size=6, steps=7, seed=4, save=range(8), record={"a": tr.StepAngle()}, at=(3, 7))
    moves = run.states.diff(dim=0)
    cosine = torch.nn.functional.cosine_similarity(moves[1:], moves[:-1], dim=2)
    assert torch.allclose(run.recorded["a"].values, torch.stack([cosine[:2].mean(0), cosine[2:].mean(0)]), atol=1e-12)


def test_curvature_in_training_mode_is_of_the_coupled_loss() -> None:
    """λmax of dropout and BatchNorm networks: the dense Hessian of f(θ; first samples, masks) by finite differences of its gradient."""
    network = modal()
    theta = start(network.frozen, 1)
    f = network.objective(10, seed=7)
    masks = network.draw(theta, 10, [stream(7, "masks of a measurement")])
    eye, step = torch.eye(network.dim, dtype=torch.float64), 1e-5
    batch = torch.arange(10)[None].expand(network.dim, -1)
    many = {name: mask.expand(network.dim, *mask.shape[1:]) for name, mask in masks.items()}
    dense = (network.grad(theta + step * eye, batch, many) - network.grad(theta - step * eye, batch, many)) / (2 * step)
    assert torch.allclose(tr.largest_eigenvalues(f, theta, tolerance=1e-8).values[0], torch.linalg.eigvalsh((dense + dense.T) / 2)[-1], rtol=1e-6)
    with pytest.raises(InputError, match="all its samples together"):
        f.sample_loss(theta, torch.tensor([[1, 2]]))


def test_checkpoints_are_written_and_read_back_with_their_digests(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path)) / "run"
    network = plain()
    run = tr.train(network, start(network, 2), optimiser=tr.SGD(0.3), batch_size=6, steps=6, seed=4, save=[0, 3, 6], folder=folder)
    assert [checkpoint.step for checkpoint in run.checkpoints] == [0, 3, 6]
    for checkpoint, wanted in zip(run.checkpoints, run.states, strict=True):
        step, theta = tr.read_checkpoint(checkpoint)
        assert step == checkpoint.step
        assert torch.equal(theta, wanted)
    raw = bytearray(run.checkpoints[1].path.read_bytes())
    raw[-1] ^= 1
    run.checkpoints[1].path.write_bytes(bytes(raw))
    with pytest.raises(InputError, match="digest"):
        tr.read_checkpoint(run.checkpoints[1])
    with pytest.raises(InputError, match="no file"):
        tr.read_checkpoint(folder / "missing")


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="share of right answers"):
        tr.TrainAccuracy(share=1.2)
    with pytest.raises(InputError, match="number of steps"):
        tr.LossBelow(every=0)
    network, theta = plain(), start(plain(), 2)
    good = {"optimiser": tr.SGD(0.1), "batch_size": 4, "steps": 3, "seed": 0}
    for wrong, words in (
        ({"batch_size": 25}, "1…24"),
        ({"steps": 0}, "wanted an integer ≥ 1"),
        ({"epochs": 2}, "one of the two"),
        ({"sampling": "epochs"}, "Did you mean 'epoch'"),
        ({"save": [4]}, "0…3"),
    ):
        with pytest.raises(InputError, match=words):
            tr.train(network, theta, **(good | wrong))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no classes"):
        tr.train(sg.objectives.DoubleWell(), [0.5], optimiser=tr.SGD(0.1), batch_size=1, steps=1, seed=0, stop=tr.TrainAccuracy())
    with pytest.raises(InputError, match="two samples"):
        tr.train(modal(), start(modal().frozen, 1), optimiser=tr.SGD(0.1), batch_size=1, steps=1, seed=0)
    for build, words in ((lambda: tr.SGD(-1), "rate"), (lambda: tr.SGD(0.1, momentum=1.0), r"\[0, 1\)"), (lambda: tr.SAM(0.1, radius=0), "radius")):
        with pytest.raises(InputError, match=words):
            build()
    x, y = data()
    with pytest.raises(InputError, match="leaves nothing"):
        tr.TrainingNetwork(nn.Sequential(nn.Linear(5, 3), nn.Dropout(1.0)).double(), "cross_entropy", x, y)
    layers = (nn.Unflatten(1, (1, 5)), nn.InstanceNorm1d(1, track_running_stats=True), nn.Flatten(), nn.Linear(5, 3))
    with pytest.raises(InputError, match="tracks running statistics"):
        tr.TrainingNetwork(nn.Sequential(*layers).double(), "cross_entropy", x, y)
    with pytest.raises(InputError, match="given masks"):
        tr.TrainingNetwork(Functional().double(), "cross_entropy", x, y)


class Functional(nn.Module):
    """Dropout that hides in a function call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(self.layer(x), 0.5, self.training)
