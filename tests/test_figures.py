"""Figures: scripts read stored results and nothing else, what is missing is named with its command, files are equal byte for byte, sizes are those of pages."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from toy_claims import CATALOGUE

import sgdsde.claims
from sgdsde.archive import finished_of, tree_of
from sgdsde.cli import run
from sgdsde.figures import Curve, Figure, Sheet, Stored, estimates
from sgdsde.figures.figure import WIDTHS
from sgdsde.figures.listing import folder_of_figures, load_figures
from sgdsde.figures.table import read_table
from sgdsde.figures.write import write_figure
from sgdsde.ledger import verify
from sgdsde.measurement import Finished, Measured
from sgdsde.plots import Image, Panel, Series, csv_of, panel_figure
from sgdsde.plots.panel import legend_columns, wrapped
from sgdsde.report.write import write_tables
from sgdsde.runs.listing import describe, folder_of_studies
from sgdsde.scripts import scripts
from sgdsde.store import decode, encode
from sgdsde.types import InputError

SCRIPTS = sorted(folder_of_figures().glob("*.py"))
SCRIPT = '''"""A toy."""
from sgdsde.figures import Figure, Sheet, estimates
from sgdsde.plots import Panel, Series
import numpy as np


def draw(stored):
    rows = stored.claim("T1").select(role="claim")
    value, low, high = estimates(rows)
    return Sheet((Panel("Toy", "x", "y", (Series("SGD", "q", np.array([row["size"] for row in rows]), value, low, high, "points"),)),), caption="c")


FIGURE = Figure(title="Toy", draw=draw, claims=("T1",))
'''


@pytest.fixture
def report(tmp_path: Path) -> Path:
    write_tables(verify(CATALOGUE, CATALOGUE[:1], profile="quick", workers=1), tmp_path / "report")
    return tmp_path / "report"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    folder = tmp_path / "paper_figs"
    folder.mkdir()
    (folder / "toy_figure.py").write_text(SCRIPT, encoding="utf-8")
    return folder / "toy_figure.py"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_only_read(path: Path) -> None:
    """Nothing but numpy, the standard library, drawing and stored results may be imported, so a script cannot simulate."""
    allowed = {"__future__", "numpy", "re", "math", "collections", "collections.abc", "itertools", "typing", "dataclasses", "functools", "json", "pathlib"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name in allowed or name.startswith(("sgdsde.figures", "sgdsde.plots")), name


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_what_a_figure_names_exists(path: Path) -> None:
    ((name, (figure, _)),) = load_figures((path.stem,), path.parent).items()
    known = {claim.id for claim in sgdsde.claims.catalogue() if "quick" in claim.scales}
    assert set(figure.claims) <= known
    assert set(figure.studies) <= set(scripts(folder_of_studies()))
    assert figure.claims or figure.studies
    assert figure.title
    assert describe(path.parent)[name]


def test_a_figure_is_drawn_from_a_report_and_equal_byte_for_byte(report: Path, script: Path, tmp_path: Path) -> None:
    figures = load_figures((), script.parent)
    assert list(figures) == ["toy-figure"]
    figure, path = figures["toy-figure"]
    stored = Stored(figure.claims, figure.studies, [report])
    first = write_figure("toy-figure", figure, path, stored, width="neurips", out=tmp_path / "a")
    second = write_figure("toy-figure", figure, path, Stored(figure.claims, (), [report]), width="neurips", out=tmp_path / "b")
    assert [file.suffix for file in first] == [".pdf", ".png", ".csv", ".json"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
    facts = json.loads(first[3].read_text())
    assert facts["claims"][0]["verdict"] == "supported"
    assert facts["claims"][0]["code"]
    assert facts["commands"][0].startswith("sgdsde verify --profile quick --claim T1 --seed")
    assert facts["inches"][0] == 5.5


def test_the_config_hash_tells_another_seed(script: Path, tmp_path: Path) -> None:
    ((_, (figure, path)),) = load_figures((), script.parent).items()
    hashes = []
    for seed in (1, 1, 2):
        write_tables(verify(CATALOGUE, CATALOGUE[:1], profile="quick", workers=1, seed=seed), tmp_path / "r")
        paths = write_figure("toy-figure", figure, path, Stored(figure.claims, (), [tmp_path / "r"]), width="jmlr", out=tmp_path / "o")
        hashes.append(json.loads(paths[3].read_text())["config_hash"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_what_is_missing_is_named_with_the_command(report: Path, tmp_path: Path) -> None:
    stored = Stored(("A5", "A7"), ("weak-error",), [report])
    with pytest.raises(InputError, match=r"sgdsde verify --claim A5 --claim A7$"):
        stored.claim("A5")
    with pytest.raises(InputError, match=r"figures/nothing\.csv.*sgdsde verify --claim A5 --claim A7$"):
        stored.table("nothing")
    with pytest.raises(InputError, match="sgdsde verify"):
        stored.tables("nothing-*")
    with pytest.raises(InputError, match=r"sgdsde run weak-error$"):
        stored.study("weak-error")
    with pytest.raises(InputError, match="put it into FIGURE's claims"):
        stored.claim("T1")
    with pytest.raises(InputError, match="put it into FIGURE's studies"):
        stored.study("walk")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "report.json").write_text("{")
    with pytest.raises(InputError, match="is no report"):
        Stored(("A5",), (), [tmp_path / "broken"]).claim("A5")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="is no table"):
        read_table(tmp_path / "t.csv")


def test_the_command_makes_what_is_missing_once_and_draws(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sgdsde.claims, "catalogue", lambda: CATALOGUE)
    monkeypatch.setattr("sgdsde.figures.listing.folder_of_figures", lambda given=None: script.parent)
    for told in (True, True):
        assert run(["figures", "--out", str(tmp_path / "f"), "--workers", "1"]) == 0
        captured = capsys.readouterr()
        assert ("claims T1" in captured.err) is told
        assert max(map(len, captured.err.splitlines())) <= 80
    assert {path.name for path in (tmp_path / "f").iterdir()} == {"stored", *(f"toy_figure.{end}" for end in ("pdf", "png", "csv", "json"))}
    assert run(["figures", "toy_figure", "--from", str(tmp_path / "f" / "stored"), "--width", "icml", "--out", str(tmp_path / "g")]) == 0
    assert json.loads((tmp_path / "g" / "toy_figure.json").read_text())["inches"][0] == 3.25


@pytest.mark.parametrize(
    ("arguments", "words", "status"),
    [
        (["toy-figur"], "'toy-figur' is no figure. Did you mean 'toy-figure'?", 2),
        (["--from", "nowhere"], "--from nowhere is no folder", 2),
        (["--workers", "0"], "--workers 0", 2),
        (["--out", "/dev/null"], "is a file", 2),
        (["--from", "."], "toy-figure is not drawn: Claim T1 is in no report of .; make it with: sgdsde verify --claim T1", 1),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], words: str, status: int, script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path / "paper_figs")
    monkeypatch.setattr("sgdsde.figures.listing.folder_of_figures", lambda given=None: script.parent)
    assert run(["figures", *arguments]) == status
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_file_that_is_no_figure_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""A."""\nFIGURE = 1\n')
    with pytest.raises(InputError, match="holds no FIGURE"):
        load_figures((), tmp_path)
    (tmp_path / "a.py").write_text("1/0")
    with pytest.raises(InputError, match="cannot be imported: ZeroDivisionError"):
        load_figures((), tmp_path)
    with pytest.raises(InputError, match="No folder of figures"):
        folder_of_figures(tmp_path / "none")


def test_tables_come_back_as_they_were_drawn(tmp_path: Path) -> None:
    x = np.array([0.1, 0.2, 0.4])
    image = Image(np.array([0.0, 1.0]), np.array([0.0, 1.0, 2.0]), np.arange(6.0).reshape(3, 2), "density")
    panel = Panel("P", "x", "y", (Series("SME1", "SME1", x, x**2, x**2 - 0.1, x**2 + 0.1, "points"), Series("SME1", "", x, x**2)), image=image)
    (tmp_path / "t.csv").write_text(csv_of([panel]), encoding="utf-8")
    curves = read_table(tmp_path / "t.csv")["P"]
    assert list(curves) == ["SME1", "SME1 (line)", "density"]
    np.testing.assert_array_equal(curves["SME1"].y, x**2)
    assert curves["SME1"].low is not None
    assert curves["SME1 (line)"].low is None
    np.testing.assert_array_equal(curves["density"].grid()[2], image.z)
    series = Curve(x[::-1], x).ascending().series("SGD", "l", kind="band")
    assert list(series.x) == list(x)
    with pytest.raises(InputError, match="no series 'SME2'"):
        curves["SME2"]
    with pytest.raises(InputError, match="no panel 'Q'"):
        read_table(tmp_path / "t.csv")["Q"]
    with pytest.raises(InputError, match="no image"):
        curves["SME1"].grid()


def test_estimates_of_no_rows_are_empty() -> None:
    assert [len(part) for part in estimates([])] == [0, 0, 0]


@pytest.mark.parametrize("width", list(WIDTHS))
@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_figures_have_the_width_of_the_page_and_legends_fit(width: str, count: int) -> None:
    x = np.linspace(0.01, 1, 5)
    panels = tuple(Panel(f"A title of several words {i}", "x", "y", (Series("SGD", "label", x, x),), log="xy") for i in range(count))
    wide, high = Sheet(panels, columns=3).size(width)  # type: ignore[arg-type]
    assert wide == WIDTHS[width][0 if count == 1 else 1]
    figure = panel_figure(panels, columns=3, width=wide, height=high)
    assert figure.get_size_inches()[0] == wide


def test_legends_and_titles_are_broken_where_they_would_not_fit() -> None:
    assert legend_columns(["SME-1", "SME-2"], width=5.5, size=7) == 2
    labels = ["a label that is about forty letters long"] * 4
    assert legend_columns(labels, width=3.25, size=7) == 1
    assert legend_columns(labels, width=6.0, size=7) == 2
    assert legend_columns([labels[0], "SME-1", "SME-2", "SPF", "HA-SME"], width=5.5, size=7) >= 3  # one long label does not make one column of all
    assert wrapped("short", wide=1.0, size=7) == "short"
    assert wrapped("several words that take more than one inch", wide=1.0, size=7).count("\n") >= 2


@pytest.mark.parametrize(
    "labels", [["gradient flow", "SME-1", "SME-2", "SPF", "HA-SME", "SME-3", "HA-SME-3"], ["WWWWWW"] * 9, ["a long label that says much"] * 3]
)
def test_a_drawn_legend_stays_on_the_page(labels: list[str]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from sgdsde.plots import PRINT

    x = np.linspace(0, 1, 3)
    panel = Panel("T", "x", "y", tuple(Series(f"{i}", f"{label}{i}", x, x + i, kind="band") for i, label in enumerate(labels)))
    figure = panel_figure([panel], width=5.5, height=2.0, style=PRINT)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.legends[0].get_window_extent(canvas.get_renderer())
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


@pytest.mark.parametrize(("low", "high"), [(0.77, 1.1), (0.02, 0.2), (1e-3, 1e2), (3e-9, 4e3), (1.0, 8.0), (1e-12, 1e-3), (0.95, 1.02)])
def test_labels_of_logarithmic_axes_keep_apart(low: float, high: float) -> None:
    """At page width, three columns: no two tick labels of an axis overlap, and there are at least two of them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from sgdsde.plots import PRINT

    x = np.geomspace(low, high, 5)
    panels = tuple(Panel("T", "x", "y", (Series("SGD", "", x, x[::-1]),), log="xy") for _ in range(3))
    figure = panel_figure(panels, columns=3, width=5.5, height=1.8, style=PRINT)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axes = figure.axes[0]
    for axis, ends in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        boxes = [
            label.get_window_extent(canvas.get_renderer())
            for tick, label in zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
            if ends[0] <= tick <= ends[1] and label.get_text()
        ]
        assert len(boxes) >= 2
        assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[i + 1 :])
        assert not [label for label in axis.get_minorticklabels() if label.get_text()]


def test_images_are_drawn_in_every_kind() -> None:
    x = np.linspace(0, 1, 6)
    field = np.add.outer(x, x)
    kinds = [
        Image(x, x, field, "z", contours=(0.5, 1.0)),
        Image(x, x, field - 1, "z", "diverging"),
        Image(x, x, field + 0.1, "z", logarithmic=True),
        Image(x, x, (field > 1).astype(float), kind="categories", names=("SME-1", "HA-SME")),
        Image(x, x, np.zeros((6, 6)), kind="categories", names=("SME-1", "HA-SME")),
    ]
    figure = panel_figure([Panel("P", "x", "y", (), image=image, aspect="equal") for image in kinds])
    assert len(figure.axes) == len(kinds) + 1 + 3  # six places in two columns, three colour bars
    assert [text.get_text() for text in figure.axes[3].texts] == ["SME-1", "HA-SME"]
    assert [text.get_text() for text in figure.axes[4].texts] == ["SME-1"]


def test_measurements_keep_their_images() -> None:
    image = Image(np.arange(2.0), np.arange(3.0), np.arange(6.0).reshape(3, 2), "z", contours=(1.0,), names=("a",))
    panel = Panel(
        "P", "x", "y", (Series("SGD", "l", np.arange(2.0), np.arange(2.0)),), image=image, x_range=(0.0, 1.0), x_ticks=("a", "b"), texts=((0.0, 1.0, "t"),)
    )
    made = Finished(Measured({}, panels=(panel,)), "", 1.0)
    again = finished_of(decode(encode(tree_of(made))))
    assert again.measured is not None
    back = again.measured.panels[0]
    assert back.image is not None
    np.testing.assert_equal(vars(back.image), vars(image))
    assert (back.x_range, back.x_ticks, back.aspect, back.y_range) == ((0.0, 1.0), ("a", "b"), "auto", None)
    assert [tuple(text) for text in back.texts] == [(0.0, 1.0, "t")]
    assert csv_of([back]) == csv_of([panel])


def test_a_figure_without_panels_is_refused(report: Path, script: Path, tmp_path: Path) -> None:
    empty = Figure(title="Empty", draw=lambda stored: Sheet(()), claims=("T1",))
    with pytest.raises(InputError, match="draws no panel"):
        write_figure("empty", empty, script, Stored(("T1",), (), [report]), width="neurips", out=tmp_path / "o")
