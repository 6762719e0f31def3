"""From the pages of an atlas to a recommendation in plain words: which model, what it costs in accuracy, what to beware of.

The recommended model exists at θ and around it, and has the smallest worst error over the test functions among those whose worst error the closures agree on;
of models within a factor 1.5 of it the simplest is taken. Whether the error also falls at the model's order decides nothing at a given η: held against exact
errors these numbers are as good where it does not (docs/theory/atlas.md). Where the closures agree on no model's error the advice is to simulate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sgdsde.atlas_result import Chart

#: models within this factor of the best are as good: predictions hold within a factor 2
AS_GOOD = 1.5
#: errors below this many standard deviations are no reason for a more complicated model
NEGLIGIBLE = 1e-9
#: which is simpler, simplest first; others count as the most complicated
SIMPLICITY = ("GradientFlow", "SME1", "SME2", "PrincipalFlow", "SPF", "HASME", "HASMEProduct", "SME3", "HASME3", "HASME3Product", "EvenStepHASME")


#: what is said first where the loss has kinks
CAUTION = (
    "The loss has no continuous second derivative, which the models presume: orders and predicted errors have no derivation here. "
    "Take them as a guess and decide by simulation with sg.compare."
)


def recommend(
    charts: Mapping[str, Chart], *, skewness: Mapping[str, float] | None, scales: Mapping[str, float], not_smooth: str = ""
) -> tuple[str | None, tuple[str, ...]]:
    """(model or None, sentences); ``not_smooth`` says why the loss is not smooth, if it is not."""
    model, sentences = _advised(charts, skewness=skewness, scales=scales)
    return model, (CAUTION, *sentences) if not_smooth else sentences


def _advised(charts: Mapping[str, Chart], *, skewness: Mapping[str, float] | None, scales: Mapping[str, float]) -> tuple[str | None, tuple[str, ...]]:
    usable = [chart for chart in charts.values() if chart.existence.where == "yes" and math.isfinite(chart.worst)]
    if not usable:
        partly = [chart.model for chart in charts.values() if chart.existence.where == "in part"]
        remark = f" {_listed(partly)} {'exists' if len(partly) == 1 else 'exist'} at θ but not everywhere that SGD goes." if partly else ""
        return None, (f"None of these models exists wherever SGD goes within the horizon.{remark} Use a smaller eta, or simulate with sg.compare.",)
    trusted = [chart for chart in usable if chart.settled]
    if not trusted:
        guess = min(usable, key=lambda chart: chart.worst)
        return None, (f"No prediction can be trusted here: the closures disagree. {guess.model} looks best; decide by simulation with sg.compare.",)
    least = max(min(chart.worst for chart in trusted), NEGLIGIBLE)
    chosen = min((chart for chart in trusted if chart.worst <= AS_GOOD * least), key=lambda chart: _complexity(chart.model))
    sentences = [f"Use {chosen.model}: {_error(chosen)}."]
    doubtful = [name for name, prediction in chosen.predictions.items() if not prediction.settled]
    if doubtful:
        sentences.append(f"Not resolved, to be checked with sg.compare: {', '.join(doubtful[:3])}{' …' if len(doubtful) > 3 else ''}.")
    steep = [name for name, prediction in chosen.predictions.items() if prediction.settled and not prediction.asymptotic]
    if steep:
        sentences.append(f"Do not carry {'this error' if len(chosen.predictions) == 1 else 'these errors'} over to another eta: not asymptotic here.")
    unresolved = [chart.model for chart in usable if chart not in trusted and chart.worst < chosen.worst]
    if unresolved:
        sentences.append(f"{_listed(unresolved)} may be better, but {'its' if len(unresolved) == 1 else 'their'} errors are not resolved here.")
    sentences += _absent(charts, chosen)
    sentences += _simpler(usable, chosen)
    sentences += _integrator(chosen)
    if skewness is not None and scales:
        worst = max((abs(skewness[name]) / scales[name] for name in scales), default=0.0)
        if worst > chosen.worst > 0:
            sentences.append(f"The noise's skewness adds up to {_share(worst)}, more than that: no model here can mend it.")
    return chosen.model, tuple(sentences)


def _error(chart: Chart) -> str:
    if chart.worst <= NEGLIGIBLE:
        step = chart.one_step.covariance_relative if chart.one_step is not None else 0.0
        unseen = f"; its covariance is off by {100 * step:.2g} % of a step's, in directions that these functions do not see" if step > NEGLIGIBLE else ""
        return f"no error beyond rounding is predicted{unseen}"
    name = max(chart.predictions, key=lambda key: abs(chart.predictions[key].relative))
    return f"its predicted error is at most {_share(chart.worst)} (in {name})"


def _absent(charts: Mapping[str, Chart], chosen: Chart) -> list[str]:
    """Why other models are not it, one sentence a reason."""
    indefinite: dict[str, list[str]] = {}
    outside, partly = [], []
    for chart in charts.values():
        if chart.existence.where == "yes" or chart.model == chosen.model:
            continue
        if chart.existence.where == "in part":
            partly.append(chart.model)
        elif chart.existence.defect > 0:
            indefinite.setdefault(f"{100 * chart.existence.defect:.2g} %", []).append(chart.model)
        else:
            outside.append(chart.model)
    sentences = [f"The Q of {_listed(models)} is indefinite here (defect {share})." for share, models in indefinite.items()]
    sentences += [f"{_listed(outside)} {'needs' if len(outside) == 1 else 'need'} eta·lambda < 1."] if outside else []
    return sentences + ([f"{_listed(partly)} {'does' if len(partly) == 1 else 'do'} not exist everywhere that SGD goes."] if partly else [])


def _simpler(usable: Sequence[Chart], chosen: Chart) -> list[str]:
    """What the simplest model would cost."""
    simplest = min(usable, key=lambda chart: _complexity(chart.model))
    if simplest.model == chosen.model or chosen.worst <= 0:
        return []
    return [f"{simplest.model}, the simplest, errs by {_share(simplest.worst)}."]


def _integrator(chart: Chart) -> list[str]:
    euler, heun = chart.substeps.get("Euler"), chart.substeps.get("Heun")
    if euler is None and heun is None:
        return ["No number of substeps keeps the integrator's bias below the model's error: use exact steps (sg.kernels.ExactOU) where the model is linear."]
    if euler is None:
        return [f"Integrate with Heun, {heun} substeps a tick; Euler would need too many."]
    return [f"Integrate with Heun, {heun} substeps a tick (Euler: {euler})."] if heun is not None else [f"Integrate with Euler, {euler} substeps a tick."]


def _share(relative: float) -> str:
    """A number of standard deviations for people."""
    return f"{100 * relative:.2g} % of a standard deviation" if relative < 1 else f"{relative:.2g} standard deviations"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def _complexity(model: str) -> int:
    return SIMPLICITY.index(model) if model in SIMPLICITY else len(SIMPLICITY)
