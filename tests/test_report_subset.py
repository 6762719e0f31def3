"""The page of a run that was asked for a part of the catalogue: what stands in its index by paper, what was not run, what calibration says."""

from __future__ import annotations

import re

from toy_claims import CATALOGUE, Toy

from sgdsde.claim import Citation
from sgdsde.ledger import Ledger, verify
from sgdsde.report import record_of
from sgdsde.report.page import render


class Elsewhere(Toy):
    """Cites another paper than the other toys."""

    citations = (Citation("9999.00001v1", "Theorem 2"), Citation("", "own"))


OTHER = Elsewhere("T20", 1.0)


def ledger() -> Ledger:
    return verify((*CATALOGUE, OTHER), CATALOGUE[:1], profile="quick", workers=1)


def by_paper(page: str) -> str:
    return page.split('id="papers-title"')[1].split("</section>")[0]


def test_the_index_by_paper_tells_what_of_a_paper_was_not_part_of_the_run() -> None:
    page = render(record_of(ledger()), {})
    index = by_paper(page)
    assert 'href="#T1"' in index
    assert re.search(r"not part of this run: T2, T10, T11\b", index)
    assert "9999.00001" not in index, "no claim of that paper was run"
    assert 'href="#T2"' not in page, "a link to a card that is not there"


def test_what_was_not_asked_for_is_counted_and_calibration_does_not_boast() -> None:
    record = record_of(ledger())
    page = render(record, {})
    assert "Asked: profile quick" in page
    assert "1 of 5 claims" in page
    assert "3 claims: not asked for" in re.sub(r"\s+", " ", page)
    assert "1 of 1 control rows failed as they must" in page
    assert {entry["id"]: entry["arxiv"] for entry in record["not_run"]}["T20"] == ["9999.00001"]


def test_a_record_from_before_papers_stood_beside_what_was_not_run_is_read() -> None:
    """The mutant of the first test: without the papers the index cannot tell, and says nothing."""
    record = record_of(ledger())
    for entry in record["not_run"]:
        del entry["arxiv"]
    assert "not part of this run" not in by_paper(render(record, {}))
