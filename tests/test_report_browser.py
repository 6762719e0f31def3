"""The report in a headless browser: keyboard, narrow screens, print, contrast. Skipped where no Chromium is installed (``apt-get install chromium``)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from toy_claims import CATALOGUE, Toy

from sgdsde.ledger import verify
from sgdsde.report import write_report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

#: every piece of text on the page with its contrast, size and weight; colours that are not opaque are laid on what is below
CONTRAST = """
(() => {
  const parse = (text) => { const p = text.match(/[\\d.]+/g).map(Number); return p.length === 3 ? [...p, 1] : p; };
  const over = (top, below) => [0, 1, 2].map((i) => top[3] * top[i] + (1 - top[3]) * below[i]).concat(1);
  const back = (node) => {
    const layers = [];
    for (let n = node; n instanceof Element; n = n.parentElement) layers.push(parse(getComputedStyle(n).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const light = (c) => { const l = c.slice(0, 3).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2]; };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (!text || ["SCRIPT", "STYLE"].includes(node.tagName) || !node.getClientRects().length) continue;
    const style = getComputedStyle(node), svg = node.closest("svg") && style.fill !== "none";
    const ground = back(node.closest("svg") ? node.closest("svg").parentElement : node);
    const a = light(over(parse(svg ? style.fill : style.color), ground)), b = light(ground);
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), parseFloat(style.fontSize), text.slice(0, 40)]);
  }
  return found;
})()"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    write_report(verify((*CATALOGUE, Toy("T4", 2.0)), (*CATALOGUE[:3], Toy("T4", 2.0)), profile="quick", workers=1), out)
    return out


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(started: Browser, folder: Path) -> Browser:
    started.media("screen")
    started.size(1100)
    started.open(folder / "report.html")
    return started


def claims(page: Browser) -> str:
    return str(page.evaluate('[...document.querySelectorAll("#table tbody tr")].filter((r) => !r.hidden).map((r) => r.dataset.claim).join(",")'))


def focused(page: Browser) -> str:
    return str(page.evaluate("(document.activeElement.id || document.activeElement.className || document.activeElement.textContent).trim()"))


def test_everything_is_reached_and_worked_by_keys(page: Browser) -> None:
    page.press("Tab")
    assert focused(page) == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0  # it shows itself
    seen = []
    for _ in range(60):
        page.press("Tab")
        seen.append(focused(page))
        if seen[-1] == "Claim":
            break
    assert {"filter", "verdict", "open-all", "close-all"} <= set(seen)
    assert claims(page) == "T1,T2,T10,T4"
    page.press("Enter")  # a heading sorts
    page.press("Enter")
    assert claims(page) == "T4,T10,T2,T1"
    page.evaluate('document.getElementById("filter").focus()')
    for letter in "T10":
        page.press(letter)
    assert claims(page) == "T10"
    page.evaluate('document.querySelector("#T10 summary").focus()')
    page.press("Enter")
    assert page.evaluate('document.getElementById("T10").open')
    page.press(" ")
    assert not page.evaluate('document.getElementById("T10").open')


def test_focus_is_visible(page: Browser) -> None:
    page.press("Tab")
    for _ in range(12):
        page.press("Tab")
        assert page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2, focused(page)


@pytest.mark.parametrize("width", [320, 360, 768, 1400])
def test_nothing_sticks_out_of_a_narrow_screen(page: Browser, width: int) -> None:
    page.size(width)
    page.evaluate('document.querySelectorAll("details").forEach((d) => { d.open = true; })')
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    out = page.evaluate(
        f'[...document.querySelectorAll("body *")].filter((e) => e.getClientRects().length && !e.closest(".scroll, figure, pre, .skip, thead") '
        f"&& e.getBoundingClientRect().right > {width}).map((e) => e.tagName + '.' + e.className)"
    )
    assert out == []


def test_all_cards_are_printed_and_the_tools_are_not(page: Browser) -> None:
    assert page.evaluate('document.querySelectorAll("details.card[open]").length') == 0
    closed = len(page.pdf())
    assert page.evaluate('document.querySelectorAll("details.card:not([open])").length') == 0  # beforeprint has opened them
    assert closed > 20_000
    page.media("print")
    assert page.evaluate('getComputedStyle(document.querySelector(".tools")).display') == "none"
    assert page.evaluate('getComputedStyle(document.querySelector("nav")).display') == "none"


@pytest.mark.parametrize("media", ["screen", "print"])
def test_text_has_the_contrast_that_guidelines_ask_for(page: Browser, media: str) -> None:
    """WCAG 2 AA: 4.5 to 1 (3 to 1 from 24 px on), figures included."""
    page.media(media)
    page.evaluate('document.querySelectorAll("details").forEach((d) => { d.open = true; })')
    found = page.evaluate(CONTRAST)
    assert len(found) > 100
    assert [entry for entry in found if entry[0] < (3 if entry[1] >= 24 else 4.5)] == []


def test_too_little_contrast_would_be_seen(page: Browser) -> None:
    page.evaluate('document.querySelector(".lead").style.color = "#999"')
    assert [entry for entry in page.evaluate(CONTRAST) if entry[0] < 4.5]


def test_links_open_the_card_they_point_to(page: Browser, folder: Path) -> None:
    page.evaluate("document.querySelector('#papers a[href=\"#T4\"]').click()")
    page.evaluate("new Promise((done) => setTimeout(done, 50))")
    assert page.evaluate('document.getElementById("T4").open')
    record = json.loads((folder / "report.json").read_text())
    assert page.evaluate('document.querySelectorAll("#papers tbody tr").length') == len(record["papers"]) == 1
    assert page.evaluate('document.querySelector("#not-run").textContent').count("T11") == 1
