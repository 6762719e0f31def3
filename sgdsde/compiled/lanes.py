"""Vectors of 64 bytes as numbers in numba: eight float64 or sixteen float32 side by side, each lane a different matrix or path.

A loop over lanes becomes vector instructions only if LLVM sees that its arrays do not overlap, and short loops of known length it unrolls before it looks. Here
the vector is the type: ``x * y + z`` on lanes is what the processor does (one AVX-512 register, two of AVX2, four of NEON), branches are ``select``, and a lane
never meets its neighbours. No operation may be reordered, and products are fused with sums only where ``fma`` says so: the numbers are those of any machine.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.extending import models

#: what numba's decorators return is not called as it is written
_extending: Any = extending
intrinsic, overload, register_model = _extending.intrinsic, _extending.overload, _extending.register_model

#: bytes of a vector
BYTES = 64


class Lanes(types.Type):
    """A vector of numbers of one dtype."""

    def __init__(self, scalar: Any) -> None:
        self.scalar, self.count = scalar, 8 * BYTES // scalar.bitwidth
        super().__init__(name=f"Lanes({scalar} x {self.count})")


class Mask(types.Type):
    """A truth value a lane."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(name=f"Mask({count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.DoubleType() if kind.scalar == types.float64 else ir.FloatType(), kind.count))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Mask) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.IntType(1), kind.count))


def _place(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> Any:
    """Where vector ``row`` of a flat array begins."""
    lanes = Lanes(kind.dtype)
    begin = builder.gep(context.make_array(kind)(context, builder, array).data, [builder.mul(row, ir.Constant(row.type, lanes.count))])
    return builder.bitcast(begin, context.get_value_type(lanes).as_pointer())


@intrinsic
def load(typing: Any, array: Any, row: Any) -> Any:
    """Vector number ``row`` of a flat array."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = signature.args[0]
        return builder.load(_place(context, builder, kind, *given), align=kind.dtype.bitwidth // 8)

    return Lanes(array.dtype)(array, types.intp), emit


@intrinsic
def store(typing: Any, array: Any, row: Any, x: Any) -> Any:
    """x into vector number ``row`` of a flat array."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = signature.args[0]
        builder.store(given[2], _place(context, builder, kind, *given[:2]), align=kind.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, x), emit


@intrinsic
def spread(typing: Any, x: Any) -> Any:
    """The number x in every lane."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        vector = context.get_value_type(signature.return_type)
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), given[0], ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count))

    return Lanes(x)(x), emit


@intrinsic
def select(typing: Any, mask: Any, x: Any, y: Any) -> Any:
    """x where the mask says so, else y."""
    return x(mask, x, y), lambda context, builder, signature, given: builder.select(*given)


@intrinsic
def any_of(typing: Any, mask: Any) -> Any:
    """Whether the mask says yes in a lane."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        bits = builder.bitcast(given[0], ir.IntType(signature.args[0].count))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(mask), emit


def _machine(context: Any, builder: Any, signature: Any, given: Any, name: str) -> Any:
    """LLVM's own function of vectors."""
    kind = signature.return_type
    vector, full = context.get_value_type(kind), f"llvm.{name}.v{kind.count}f{kind.scalar.bitwidth}"
    known = builder.module.globals
    function = known[full] if full in known else ir.Function(builder.module, ir.FunctionType(vector, [vector] * len(given)), full)
    return builder.call(function, given)


@intrinsic
def sqrt(typing: Any, x: Any) -> Any:
    """√x, correctly rounded."""
    return x(x), lambda context, builder, signature, given: _machine(context, builder, signature, given, "sqrt")


@intrinsic
def fabs(typing: Any, x: Any) -> Any:
    """|x|."""
    return x(x), lambda context, builder, signature, given: _machine(context, builder, signature, given, "fabs")


@intrinsic
def fma(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """xy + z, rounded once."""
    return x(x, y, z), lambda context, builder, signature, given: _machine(context, builder, signature, given, "fma")


def _between(operation: Callable[..., Any], build: Callable[..., Any], *, decides: bool = False) -> None:
    """What an operator does between two vectors of a kind."""

    @intrinsic
    def emitted(typing: Any, x: Any, y: Any) -> Any:
        return (Mask(x.count) if decides else x)(x, y), lambda context, builder, signature, given: build(builder, *given)

    def emitting(x: Any, y: Any) -> Any:
        return emitted(x, y)

    @overload(operation)
    def of_lanes(x: Any, y: Any) -> Any:
        return emitting if isinstance(x, Lanes) and x == y else None


_between(operator.add, lambda builder, x, y: builder.fadd(x, y))
_between(operator.sub, lambda builder, x, y: builder.fsub(x, y))
_between(operator.mul, lambda builder, x, y: builder.fmul(x, y))
_between(operator.truediv, lambda builder, x, y: builder.fdiv(x, y))
_between(operator.lt, lambda builder, x, y: builder.fcmp_ordered("<", x, y), decides=True)
_between(operator.le, lambda builder, x, y: builder.fcmp_ordered("<=", x, y), decides=True)
_between(operator.gt, lambda builder, x, y: builder.fcmp_ordered(">", x, y), decides=True)
_between(operator.ge, lambda builder, x, y: builder.fcmp_ordered(">=", x, y), decides=True)
