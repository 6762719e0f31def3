"""A report written where another one stood: pictures of the first do not stay beside the numbers of the second, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

from toy_claims import CATALOGUE, Toy

from sgdsde.ledger import Ledger, verify
from sgdsde.report import write_report


def ledger(claim: Toy) -> Ledger:
    return verify((*CATALOGUE, claim), (claim,), profile="quick", workers=1)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("figures/*")}


def test_figures_of_the_report_before_are_taken_away(tmp_path: Path) -> None:
    first, second = Toy("T30", 1.5), Toy("T31", 2.5)
    write_report(ledger(first), tmp_path)
    before = files(tmp_path)
    write_report(ledger(second), tmp_path / "alone")
    alone = files(tmp_path / "alone")
    assert before
    assert alone
    assert before != alone
    (tmp_path / "figures" / "mine.csv").write_text("x\n1\n")
    write_report(ledger(second), tmp_path)
    assert files(tmp_path) == alone | {"mine.csv"}


def test_a_folder_without_a_report_of_ours_keeps_its_figures(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    for content in ("", "[]", '{"claims": [{"measurements": [{"name": 3}]}]}', '{"claims": [{"measurements": [{"name": "../../x"}]}]}'):
        (tmp_path / "figures" / "x.csv").write_text("x\n")
        (tmp_path / "report.json").write_text(content)
        (tmp_path.parent / "x.csv").write_text("y\n")
        write_report(ledger(Toy("T30", 1.5)), tmp_path)
        assert (tmp_path.parent / "x.csv").exists()
        assert (tmp_path / "figures" / "x.csv").exists() is ("../" not in content)
