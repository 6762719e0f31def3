"""What C25 measures: layers of batch-normalised networks against dense matrices, the same numbers as in C19–C22 for plain ones, paired ratios.

Exact up to rounding; the one paired ratio has a fixed seed and a known answer.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sgdsde.claim import Outcome, judge_plan
from sgdsde.claims import c25_batch_norm
from sgdsde.curvature import hessian_operator, kronecker_decoupling, layer_blocks, overlap
from sgdsde.data import digits
from sgdsde.measurement import Finished, Measured, carry_out
from sgdsde.measurements import hessian_batch_norm as measured
from sgdsde.measurements.hessian_layers import layer_numbers
from sgdsde.measurements.hessian_network import perceptron, start
from sgdsde.training import TrainingNetwork


def test_plain_layers_have_the_numbers_of_the_other_measurement() -> None:
    network = perceptron(digits(count=80), (12, 12))
    theta = start(network, 3)[0]
    for layer, name in ((2, "2"), (3, "4")):
        ours, theirs = measured.layer_structure(network, theta, layer), layer_numbers(network, theta, name, 0)
        for key in ours:
            assert ours[key] == pytest.approx(theirs[key], rel=1e-6), key


def test_top_vectors_of_a_product_from_its_factors() -> None:
    network = perceptron(digits(count=40), (6, 5))
    report = kronecker_decoupling(network, start(network, 1)[0], "2")
    dense = torch.linalg.eigh(torch.kron(report.left, report.right)).eigenvectors[:, -4:]
    assert overlap(report.product_eigenvectors(4), dense).value == pytest.approx(1, abs=1e-9)
    swapped = torch.linalg.eigh(torch.kron(report.right, report.left)).eigenvectors[:, -4:]  # mutant: factors the wrong way round
    assert overlap(report.product_eigenvectors(4), swapped).value < 0.9


def test_blocks_of_a_trained_batch_normalised_network_are_those_of_its_hessian_in_evaluation_mode() -> None:
    kind = measured._kind(digits(count=60), (5, 4), "batch", 1, 2)
    assert isinstance(kind.trainable, TrainingNetwork)
    theta = kind.start[0] + 0.05
    network = kind.at(theta)
    H = hessian_operator(network, theta).dense()
    linear = [name for name, part in network.module.named_modules() if isinstance(part, nn.Linear)]
    for name in linear:
        part = layer_blocks(network)[f"{name}.weight"]
        assert torch.allclose(kronecker_decoupling(network, theta, name).block, H[part, part], atol=1e-12)
    stale = kind.trainable.frozen  # mutant: statistics of no training (mean 0, variance 1)
    assert measured.layer_structure(stale, theta, 2)["second moment"] != pytest.approx(measured.layer_structure(network, theta, 2)["second moment"], rel=0.05)
    train_mode = hessian_operator(kind.trainable.objective(), theta).dense()  # in training mode the statistics move with the weights: another matrix
    part = layer_blocks(network)["0.weight"]
    assert float((train_mode[part, part] - H[part, part]).norm() / H[part, part].norm()) > 0.05


def test_ratios_are_geometric_means_over_pairs() -> None:
    found = measured.geometric(np.array([2.0, 8.0] * 20), 0.95)
    assert found.value == pytest.approx(4.0)
    assert found.low < 4.0 < found.high
    assert found.low * found.high == pytest.approx(16.0)


@pytest.fixture(scope="module")
def finished() -> dict[str, Finished]:
    """The measurement at its smallest: eight seeds, 120 digits, one loss."""
    (planned,) = c25_batch_norm.BatchNormWeakens().plan("quick", 5).measurements
    options = {**planned.parameters, "seeds": 8, "samples": 120, "hidden": (8, 8), "most": 800, "losses": planned.parameters["losses"][:1]}
    result = carry_out(type(planned)(planned.name, planned.run, options), 5, 0.99)
    assert result.measured is not None, result.error
    return {planned.name: result}


def test_the_first_layer_sees_the_data_and_fails_as_a_control_must(finished: dict[str, Finished]) -> None:
    """Rows of one loss at eight seeds: numbers have the stated sign; judged on the small run only the sample size keeps them from being supported."""
    (result,) = finished.values()
    assert isinstance(result.measured, Measured)
    estimates = result.measured.estimates
    loss = next(iter(estimates)).split("/")[0]
    assert estimates[f"{loss}/layer 1/second moment"].value == 1.0
    assert estimates[f"{loss}/layer 2/error"].value > 1.2
    assert estimates[f"{loss}/layer 3/second moment"].value > 1.5
    plan = c25_batch_norm.BatchNormWeakens().plan("quick", 5)
    rows = tuple(row for row in plan.rows if row.key.startswith(f"{loss}/"))
    verdict = judge_plan("C25", type(plan)(plan.measurements, rows), finished, c25_batch_norm.BatchNormWeakens.scales["quick"])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rows[-1].outcome is Outcome.SUPPORTED  # the control
