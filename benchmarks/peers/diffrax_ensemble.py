"""One ensemble of SME-1 on a diagonal quadratic by diffrax, for ``benchmarks/ensembles.py``; run by the interpreter that ``make.sh`` makes for diffrax.

``python diffrax_ensemble.py PATHS STEPS DTYPE DIM DT`` prints the CPU seconds of each of three runs after compilation, as JSON. One CPU thread; Euler on a
fixed grid; ``UnsafeBrownianPath``, diffrax's cheapest increments, and no saved steps.
"""

import json
import os
import sys
import time

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # XLA takes more than one thread whatever its flags say
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
import diffrax  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import lineax  # noqa: E402

paths, steps, dtype, dim, dt = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
jax.config.update("jax_enable_x64", dtype == "float64")
curvature, scale = jnp.linspace(0.5, 2.0, dim, dtype=dtype), 0.1**0.5


def one(key):
    motion = diffrax.UnsafeBrownianPath(jax.ShapeDtypeStruct((dim,), dtype), key)
    terms = diffrax.MultiTerm(
        diffrax.ODETerm(lambda t, y, args: -curvature * y),
        diffrax.ControlTerm(lambda t, y, args: lineax.DiagonalLinearOperator(jnp.full((dim,), scale, dtype=y.dtype)), motion),
    )
    start = jnp.ones(dim, dtype=dtype)
    return diffrax.diffeqsolve(
        terms, diffrax.Euler(), 0.0, steps * dt, dt0=dt, y0=start, saveat=diffrax.SaveAt(t1=True), max_steps=steps + 2, adjoint=diffrax.ForwardMode()
    ).ys[-1]


run = jax.jit(jax.vmap(one))
keys = jax.random.split(jax.random.key(0), paths)
found = run(keys).block_until_ready()
seconds = []
for _ in range(3):
    start = time.process_time()
    run(keys).block_until_ready()
    seconds.append(time.process_time() - start)
variance = float(jnp.var(found[:, 0]))
print(json.dumps({"seconds": seconds, "variance": variance, "version": diffrax.__version__}))
