"""Symbol calculus: the logarithm of SGD's one-step semigroup as a differential operator, in sympy.

An operator Σ aₖ(x)∂ᵏ is kept as its symbol, the polynomial Σ aₖ(x)pᵏ; the symbol of a product is Σ_α (1/α!)·∂ₚ^α a·∂ₓ^α b. One SGD step maps u to
E u(x − ηg + ηξ), whose symbol is E e^{p·(−ηg + ηξ)} = exp(−ηp·g + η²pᵀΣp/2 + third cumulant …). Its logarithm is η times the generator that a modified
equation would need: p¹ is the drift, p² half of Q; a p³ is what no SDE has.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import sympy as sp


def product(a: sp.Expr, b: sp.Expr, xs: Sequence[sp.Symbol], ps: Sequence[sp.Symbol]) -> sp.Expr:
    """The symbol of the operator product a∘b."""
    total = sp.Integer(0)
    for alpha in itertools.product(*[range(sp.degree(a, p) + 1 if a.has(p) else 1) for p in ps]):
        left, right = a, b
        for p, x, k in zip(ps, xs, alpha, strict=True):
            left, right = sp.diff(left, p, k), sp.diff(right, x, k)
        total += left * right / sp.prod([sp.factorial(k) for k in alpha])
    return sp.expand(total)


def one_step(cumulants: dict[int, sp.Expr], order: int) -> dict[int, sp.Expr]:
    """The orders 1…``order`` in η of exp(Σ ηʲ·cumulants[j]), a symbol in which derivatives act on u alone."""
    eta = sp.Symbol("eta")
    exponent = sum(symbol * eta**j for j, symbol in cumulants.items())
    total, term = sp.Integer(0), sp.Integer(1)
    for j in range(1, order + 1):
        term = sp.expand(term * exponent / j)
        term = sum(term.coeff(eta, k) * eta**k for k in range(order + 1))
        total += term
    total = sp.expand(total)
    return {k: total.coeff(eta, k) for k in range(1, order + 1)}


def logarithm(T: dict[int, sp.Expr], xs: Sequence[sp.Symbol], ps: Sequence[sp.Symbol]) -> dict[int, sp.Expr]:
    """The orders in η of log(1 + Σ ηᵏTₖ) = Σⱼ (−1)^{j+1}/j·(…)ʲ as an operator."""
    order = max(T)
    result, power = dict(T), dict(T)
    for j in range(2, order + 1):
        power = {k: sum(product(T[i], power[k - i], xs, ps) for i in range(1, k - j + 2)) for k in range(j, order + 1)}
        for k, symbol in power.items():
            result[k] = sp.expand(result[k] + sp.Rational((-1) ** (j + 1), j) * symbol)
    return result
