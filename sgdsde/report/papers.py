"""The papers whose claims are checked: authors, title and year by arXiv identifier, and BibTeX of those that a report cites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Paper:
    """One paper; ``authors`` as BibTeX wants them."""

    authors: str
    title: str
    year: int


PAPERS = {
    "1110.2842": Paper("Hsu, Daniel and Kakade, Sham M. and Zhang, Tong", "A tail inequality for quadratic forms of subgaussian random vectors", 2011),
    "1511.06251": Paper("Li, Qianxiao and Tai, Cheng and E, Weinan", "Stochastic modified equations and adaptive stochastic gradient algorithms", 2015),
    "1703.04933": Paper("Dinh, Laurent and Pascanu, Razvan and Bengio, Samy and Bengio, Yoshua", "Sharp Minima Can Generalize For Deep Nets", 2017),
    "1703.11008": Paper(
        "Dziugaite, Gintare Karolina and Roy, Daniel M.",
        "Computing Nonvacuous Generalization Bounds for Deep (Stochastic) Neural Networks with Many More Parameters than Training Data",
        2017,
    ),
    "1705.07562": Paper(
        "Hu, Wenqing and Li, Chris Junchi and Li, Lei and Liu, Jian-Guo", "On the diffusion approximation of nonconvex stochastic gradient descent", 2017
    ),
    "1706.04454": Paper(
        "Sagun, Levent and Evci, Utku and Guney, V. Ugur and Dauphin, Yann and Bottou, Leon",
        "Empirical Analysis of the Hessian of Over-Parametrized Neural Networks",
        2017,
    ),
    "1811.01558": Paper(
        "Li, Qianxiao and Tai, Cheng and E, Weinan",
        "Stochastic Modified Equations and Dynamics of Stochastic Gradient Algorithms I: Mathematical Foundations",
        2018,
    ),
    "1901.06053": Paper(
        "Simsekli, Umut and Sagun, Levent and Gurbuzbalaban, Mert", "A Tail-Index Analysis of Stochastic Gradient Noise in Deep Neural Networks", 2019
    ),
    "1907.10732": Paper(
        "Li, Xinyan and Gu, Qilong and Zhou, Yingxue and Chen, Tiancong and Banerjee, Arindam",
        "Hessian based analysis of SGD for Deep Nets: Dynamics and Generalization",
        2019,
    ),
    "2002.03495": Paper(
        "Xie, Zeke and Sato, Issei and Sugiyama, Masashi",
        "A Diffusion Theory For Deep Learning Dynamics: Stochastic Gradient Descent Exponentially Favors Flat Minima",
        2020,
    ),
    "2006.04740": Paper("Gurbuzbalaban, Mert and Simsekli, Umut and Zhu, Lingjiong", "The Heavy-Tail Phenomenon in SGD", 2020),
    "2009.11162": Paper("Barrett, David G. T. and Dherin, Benoit", "Implicit Gradient Regularization", 2020),
    "2010.01412": Paper(
        "Foret, Pierre and Kleiner, Ariel and Mobahi, Hossein and Neyshabur, Behnam",
        "Sharpness-Aware Minimization for Efficiently Improving Generalization",
        2020,
    ),
    "2010.04261": Paper(
        "Wu, Yikai and Zhu, Xingyu and Wu, Chenwei and Wang, Annie and Ge, Rong",
        "Dissecting Hessian: Understanding Common Structure of Hessian in Neural Networks",
        2020,
    ),
    "2012.03636": Paper("Liu, Kangqiao and Ziyin, Liu and Ueda, Masahito", "Noise and Fluctuation of Finite Learning Rate Stochastic Gradient Descent", 2020),
    "2102.05375": Paper("Ziyin, Liu and Liu, Kangqiao and Mori, Takashi and Ueda, Masahito", "Strength of Minibatch Noise in SGD", 2021),
    "2102.12470": Paper(
        "Li, Zhiyuan and Malladi, Sadhika and Arora, Sanjeev", "On the Validity of Modeling SGD with Stochastic Differential Equations (SDEs)", 2021
    ),
    "2103.00065": Paper(
        "Cohen, Jeremy M. and Kaur, Simran and Li, Yuanzhi and Kolter, J. Zico and Talwalkar, Ameet",
        "Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability",
        2021,
    ),
    "2105.09557": Paper("Mori, Takashi and Ziyin, Liu and Liu, Kangqiao and Ueda, Masahito", "Power-law escape rate of SGD", 2021),
    "2206.10654": Paper("Kaur, Simran and Cohen, Jeremy and Lipton, Zachary C.", "On the Maximum Hessian Eigenvalue and Generalization", 2022),
    "2302.01952": Paper(
        "Rosca, Mihaela and Wu, Yan and Qin, Chongli and Dherin, Benoit",
        "On a continuous time model of gradient descent dynamics and instability in deep learning",
        2023,
    ),
    "2302.07125": Paper(
        "Gess, Benjamin and Kassing, Sebastian and Konarovskyi, Vitalii",
        "Stochastic Modified Flows, Mean-Field Limits and Dynamics of Stochastic Gradient Descent",
        2023,
    ),
    "2306.05300": Paper(
        "Kühn, Marcel and Rosenow, Bernd",
        "Anti-Correlated Noise in Epoch-Based Stochastic Gradient Descent: Implications for Weight Variances in Flat Directions",
        2023,
    ),
    "2405.18373": Paper("Li, Xiang and Shen, Zebang and Zhang, Liang and He, Niao", "A Hessian-Aware Stochastic Differential Equation for Modelling SGD", 2024),
    "2410.24206": Paper(
        "Cohen, Jeremy M. and Damian, Alex and Talwalkar, Ameet and Kolter, J. Zico and Lee, Jason D.",
        "Understanding Optimization in Deep Learning with Central Flows",
        2024,
    ),
    "2412.20553": Paper("Andreyev, Arseniy and Beneventano, Pierfrancesco", "Edge of Stochastic Stability: Revisiting the Edge of Stability for SGD", 2024),
}


def papers_of(claims: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The papers that claims of a record cite, by identifier, each with the claims that cite it; title and authors are None where not known here."""
    cited: dict[str, list[str]] = {}
    for claim in claims:
        for citation in claim["citations"]:
            identifier = citation["arxiv"].split("v")[0]
            if identifier and claim["id"] not in cited.setdefault(identifier, []):
                cited[identifier].append(claim["id"])
    found = []
    for identifier, ids in sorted(cited.items()):
        paper = PAPERS.get(identifier)
        facts = {"authors": paper.authors, "title": paper.title, "year": paper.year} if paper else {"authors": None, "title": None, "year": None}
        found.append({"arxiv": identifier, **facts, "claims": ids})
    return found


def bibtex(papers: Iterable[Mapping[str, Any]]) -> str:
    """One ``@misc`` entry a paper; ``keywords`` names the claims that cite it."""
    entries = []
    for paper in papers:
        fields = {"title": paper["title"] and "{" + paper["title"] + "}", "author": paper["authors"], "year": paper["year"], "eprint": paper["arxiv"]}
        fields |= {"archiveprefix": "arXiv", "url": f"https://arxiv.org/abs/{paper['arxiv']}", "keywords": ", ".join(paper["claims"])}
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value is not None]
        entries.append("\n".join([f"@misc{{{_key(paper)},", *lines, "}"]))
    return "\n\n".join(entries) + "\n" if entries else ""


def authors_short(authors: str | None) -> str:
    """For a table: "Li, Shen, Zhang, He"; more than four are cut."""
    names = [name.split(",")[0] for name in (authors or "").split(" and ") if name]
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} and others"


def _key(paper: Mapping[str, Any]) -> str:
    first = (paper["authors"] or "").split(",")[0].lower().replace("ü", "u")
    return f"{first}{paper['year']}-{paper['arxiv'].replace('.', '')}" if first else f"arxiv{paper['arxiv'].replace('.', '')}"
