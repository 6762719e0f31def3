"""The report: self-contained, escaped, complete, equal byte for byte; intervals stand where they belong; the page's script works in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from toy_claims import CATALOGUE, Toy

from sgdsde.claim import Outcome
from sgdsde.ledger import SEED, Ledger, verify
from sgdsde.plots import panel_figure, svg_of
from sgdsde.report import record_of, render, write_report
from sgdsde.report.diagram import WIDTH, diagram_of
from sgdsde.report.page import Figure
from sgdsde.report.record import command_of, file_name
from sgdsde.report.write import figures_of, prepare
from sgdsde.types import InputError

NASTY = "<script>alert(1)</script> & \"quotes\" 'too'"


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    nasty = Toy("T3", 1.0)
    nasty.statement = nasty.title = NASTY
    lost = Toy("T4", 2.0)  # its claim row sits where the control is: contradicted
    return verify((*CATALOGUE, nasty, lost), (*CATALOGUE[:3], nasty, lost), profile="quick", workers=1)


@pytest.fixture(scope="module")
def page(ledger: Ledger) -> str:
    figures = {name: Figure(svg_of(panel_figure(panels)), "spoken") for name, panels in figures_of(ledger).items()}
    return render(record_of(ledger), figures)


class Reader(HTMLParser):
    """Nesting, identifiers and what is fetched."""

    VOID = frozenset({"meta", "br", "hr", "img", "input", "link", "path", "use", "rect", "line", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.labels: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        self.fetched += [f"{tag} {values[name]}" for name in ("src", "srcset", "data", "poster") if name in values]
        self.fetched += [f"{tag} {values[name]}" for name in ("href", "xlink:href") if name in values and tag not in ("a", "use")]
        if "aria-label" in values:
            self.labels.append(str(values["aria-label"]))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        assert self.open.pop() == tag, f"</{tag}> closes something else"


def test_the_page_is_well_nested_and_fetches_nothing(page: str) -> None:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert reader.fetched == []
    assert len(set(reader.ids)) == len(reader.ids), "two elements share an identifier"
    assert "default-src 'none'" in page
    assert not re.search(r"@import|url\((?!#)", page)
    links = re.findall(r'<a[^>]*href="([^"]*)"', page)
    assert all(link.startswith(("#", "https://arxiv.org/abs/")) for link in links)
    assert reader.labels


def test_what_a_claim_says_is_escaped(page: str) -> None:
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3


def test_every_claim_stands_there_with_all_that_a_referee_asks(page: str, ledger: Ledger) -> None:
    for entry in ledger.entries:
        card = page[page.index(f'<details class="card" id="{entry.claim.id}"') :]
        card = card[: card.index("</details>")]
        for part in (
            entry.verdict.outcome,
            entry.verdict.scale,
            "arXiv 1234.56789v2",
            "Theorem 1",
            "Gaussian — <strong>checked</strong>: by construction",
            "What this does not show",
            f"sgdsde verify --profile quick --claim {entry.claim.id}",
            "must lie outside",
            "a note",
        ):
            assert str(part) in card, part
        assert card.count('<svg class="diagram"') == sum(row.estimate is not None for row in entry.verdict.rows)
    assert "the oracle broke" in page
    assert "not to be relied on" in page
    assert f"seed {SEED}" in page


def test_a_contradicted_claim_is_shown_not_hidden(page: str, ledger: Ledger) -> None:
    assert ledger.count(Outcome.CONTRADICTED) == 2
    assert page.count('data-verdict="contradicted"') == 4  # a line and a card each
    assert "disjoint" in page


def test_the_record_is_strict_json_and_complete(ledger: Ledger) -> None:
    record = json.loads(json.dumps(record_of(ledger), allow_nan=False))
    assert record["rows_in_catalogue"] == 11
    assert record["confidence_of_each_interval"] == 1 - 0.05 / 11
    claim = record["claims"][0]
    assert claim["rows"][0]["estimate"]["n"] == 1000
    assert claim["rows"][0]["region"] == {"text": "q = 1 within 5 %", "low": 0.95, "high": 1.05}
    assert claim["measurements"][0]["seed"] != claim["measurements"][1]["seed"]
    assert {"sgdsde", "torch", "python"} <= set(record["environment"])
    assert not record["trustworthy"]


def test_the_command_names_an_unusual_seed(ledger: Ledger) -> None:
    other = Ledger(**{**vars(ledger), "seed": 5})
    assert command_of(other, "T1") == "sgdsde verify --profile quick --claim T1 --seed 5"
    assert file_name("HA-SME by Heun, drawn") == "ha-sme-by-heun-drawn"


def test_files_are_written_whole_and_equal_byte_for_byte(ledger: Ledger, tmp_path: Path) -> None:
    first, second = write_report(ledger, tmp_path / "a" / "deep"), write_report(ledger, tmp_path / "b")
    names = sorted(path.relative_to(first.parent) for path in first.parent.rglob("*") if path.is_file())
    assert {path.suffix for path in names} == {".html", ".json", ".svg", ".csv", ".bib"}
    for name in names:
        assert (first.parent / name).read_bytes() == (second.parent / name).read_bytes(), name


def test_a_directory_that_cannot_be_used_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; give a directory"):
        prepare(tmp_path / "file")
    with pytest.raises(InputError, match="cannot be made: Not a directory"):
        prepare(tmp_path / "file" / "below")


def row(low: float | None, high: float | None, estimate: tuple[float, float, float] | None) -> dict[str, object]:
    found = None if estimate is None else dict(zip(("low", "value", "high"), estimate, strict=True))
    return {"region": {"low": low, "high": high}, "estimate": found}


def test_a_diagram_puts_the_interval_where_it_belongs() -> None:
    inside = diagram_of(row(0.9, 1.1, (0.98, 1.0, 1.02)))
    assert inside is not None
    assert inside["zone_x"] < inside["bar_left"] < inside["dot"] < inside["bar_right"] < inside["zone_x"] + inside["zone_width"]
    right = diagram_of(row(0.9, 1.1, (1.3, 1.4, 1.5)))
    assert right is not None
    assert right["bar_left"] > right["zone_x"] + right["zone_width"]
    open_ended = diagram_of(row(None, 1.0, (2.0, 3.0, 4.0)))
    assert open_ended is not None
    assert open_ended["zone_x"] == 0
    assert len(open_ended["edges"]) == 1
    exact = diagram_of(row(0.0, 1e-12, (0.5, 0.5, 0.5)))
    assert exact is not None
    assert exact["bar_right"] - exact["bar_left"] >= 2
    assert 0 <= exact["zone_x"] < exact["dot"] <= WIDTH
    assert diagram_of(row(0.0, 1.0, None)) is None
    assert diagram_of({"region": {"low": 0.0, "high": 1.0}, "estimate": {"low": None, "value": 1.0, "high": 2.0}}) is None


@pytest.mark.parametrize("seed", range(20))
def test_diagrams_stay_inside_their_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ends, numbers = np.sort(rng.standard_cauchy(2)), np.sort(rng.standard_cauchy(3))
    drawn = diagram_of(row(ends[0], ends[1], (numbers[0], numbers[1], numbers[2])))
    assert drawn is not None
    for name in ("zone_x", "bar_left", "bar_right", "dot"):
        assert -1 <= drawn[name] <= WIDTH + 1


CHROMIUM = next((found for found in (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")) if found), None)
PROBE = """<script>addEventListener("load", () => {
  const ids = () => [...document.querySelectorAll("#table tbody tr")].filter((row) => !row.hidden).map((row) => row.dataset.claim).join(",");
  const log = [ids()];
  const head = (n) => document.querySelectorAll("#table thead th")[n];
  head(0).querySelector("button").click(); head(0).querySelector("button").click(); log.push(ids());
  head(2).querySelector("button").click(); log.push(ids()); log.push(head(2).getAttribute("aria-sort"));
  const filter = document.getElementById("filter"); filter.value = "T1 supported"; filter.dispatchEvent(new Event("input")); log.push(ids());
  filter.value = ""; filter.dispatchEvent(new Event("input"));
  const verdict = document.getElementById("verdict"); verdict.value = "contradicted"; verdict.dispatchEvent(new Event("change")); log.push(ids());
  log.push(document.getElementById("shown").textContent);
  log.push([...document.querySelectorAll("details.card[open]")].map((card) => card.id).join(","));
  document.title = log.join("|");
});</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_sorting_filtering_and_links_work_in_a_browser(page: str, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page.replace("</body>", PROBE), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run([str(CHROMIUM), *options, "--dump-dom", f"file://{file}#T2"], capture_output=True, text=True, timeout=120, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None
    start, down, by_verdict, direction, filtered, chosen, shown, opened = title[1].split("|")
    assert start == "T1,T2,T10,T3,T4"
    assert down == "T4,T3,T10,T2,T1"
    assert by_verdict == "T1,T3,T2,T4,T10" or by_verdict == "T3,T1,T4,T2,T10"
    assert direction == "ascending"
    assert filtered == "T1"
    assert set(chosen.split(",")) == {"T2", "T4"}
    assert shown == "2 of 5 claims"
    assert opened == "T2"
