"""What the report exports: JSON that its schema describes, rows as CSV, sources as BibTeX, what was not run; stored reports put together without running."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from toy_claims import CATALOGUE

from sgdsde.claims import catalogue
from sgdsde.cli import run
from sgdsde.completion import COMMANDS, KINDS, script
from sgdsde.ledger import Ledger, verify
from sgdsde.report import record_of, write_report
from sgdsde.report.export import COLUMNS, rows_csv
from sgdsde.report.merge import merged, read_record
from sgdsde.report.papers import PAPERS, authors_short, bibtex, papers_of
from sgdsde.types import InputError

SCHEMA = json.loads((resources.files("sgdsde.report") / "report.schema.json").read_text(encoding="utf-8"))
WORDS = {"$schema", "$defs", "$ref", "title", "description", "type", "const", "enum", "properties", "required", "additionalProperties", "items"}
TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def problems(value: Any, schema: dict[str, Any], place: str = "report") -> list[str]:
    """What JSON Schema says of a value, for the words that our schema uses; an unknown word is a problem too."""
    unknown = set(schema) - {
        "$schema",
        "$defs",
        "$ref",
        "title",
        "description",
        "type",
        "const",
        "enum",
        "properties",
        "required",
        "additionalProperties",
        "items",
    }
    assert not unknown, f"the test does not know {unknown}"
    if "$ref" in schema:
        return problems(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], place)
    found = []
    if "const" in schema and value != schema["const"]:
        found.append(f"{place}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{place}: {value!r} is not among {schema['enum']}")
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if kinds and not any(_is(value, kind) for kind in kinds):
        return [*found, f"{place}: {value!r} is no {' or '.join(kinds)}"]
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        found += [f"{place}: {name} is missing" for name in schema.get("required", []) if name not in value]
        for name, part in value.items():
            if name in known:
                found += problems(part, known[name], f"{place}.{name}")
            elif others is False:
                found.append(f"{place}: {name} is unknown")
            elif isinstance(others, dict):
                found += problems(part, others, f"{place}.{name}")
    if isinstance(value, list) and "items" in schema:
        found += [problem for i, part in enumerate(value) for problem in problems(part, schema["items"], f"{place}[{i}]")]
    return found


def _is(value: Any, kind: str) -> bool:
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[kind])


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return verify(CATALOGUE, CATALOGUE[:3], profile="quick", workers=1)


@pytest.fixture(scope="module")
def record(ledger: Ledger) -> dict[str, Any]:
    return dict(json.loads(json.dumps(record_of(ledger), allow_nan=False)))


def test_the_record_is_what_its_schema_says(record: dict[str, Any]) -> None:
    assert problems(record, SCHEMA) == []


def test_the_schema_would_see_a_change(record: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(record))
    broken["claims"][0]["rows"][0]["estimate"]["n"] = "many"
    del broken["claims"][0]["why"]
    broken["claims"][1]["verdict"] = "true"
    broken["new"] = 1
    assert len(problems(broken, SCHEMA)) == 4


def test_everything_in_the_schema_is_described_by_a_type(record: dict[str, Any]) -> None:
    def walk(schema: dict[str, Any]) -> None:
        assert {"type", "$ref", "const", "enum"} & set(schema), schema
        for part in [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), *([schema["items"]] if "items" in schema else [])]:
            walk(part)

    walk(SCHEMA)


def test_rows_stand_in_the_table(record: dict[str, Any]) -> None:
    lines = list(csv.DictReader(io.StringIO(rows_csv(record))))
    assert len(lines) == sum(len(claim["rows"]) for claim in record["claims"])
    assert tuple(lines[0]) == COLUMNS
    first = record["claims"][0]["rows"][0]
    assert float(lines[0]["value"]) == first["estimate"]["value"]
    assert json.loads(lines[0]["parameters"]) == first["parameters"]
    lost = next(line for line in lines if line["row"] == "broken")
    assert lost["value"] == ""
    assert lost["verdict"] == "not run"


def test_what_was_not_run_stands_there_with_its_reason(record: dict[str, Any], ledger: Ledger) -> None:
    why = {entry["id"]: entry["why"] for entry in record["not_run"]}
    assert set(why) == {"T10", "T11"}
    assert "the oracle broke" in why["T10"]
    assert why["T11"] == "not in the profile quick, only in full"
    other = record_of(verify(CATALOGUE, CATALOGUE[:1], profile="quick", workers=1))
    assert {entry["id"]: entry["why"] for entry in other["not_run"]}["T2"] == "not asked for"
    assert record["controls"] == {"rows": 3, "failed_as_they_must": 3}


def test_sources_are_bibtex() -> None:
    claims = [
        {"id": "A1", "citations": [{"arxiv": "2405.18373v3", "where": ""}, {"arxiv": "", "where": "own"}]},
        {"id": "A2", "citations": [{"arxiv": "2405.18373v1", "where": ""}, {"arxiv": "9999.00001v1", "where": ""}]},
    ]
    papers = papers_of(claims)
    assert [(paper["arxiv"], paper["claims"]) for paper in papers] == [("2405.18373", ["A1", "A2"]), ("9999.00001", ["A2"])]
    text = bibtex(papers)
    assert re.findall(r"^@misc\{(.*),$", text, re.MULTILINE) == ["li2024-240518373", "arxiv999900001"]
    assert "title = {{A Hessian-Aware Stochastic Differential Equation for Modelling SGD}}," in text
    assert text.count("{") == text.count("}")
    assert "None" not in text
    assert bibtex([]) == ""
    assert authors_short(papers[0]["authors"]) == "Li, Shen, Zhang, He"
    assert authors_short(PAPERS["1706.04454"].authors) == "Sagun and others"
    assert authors_short(None) == ""


@pytest.mark.parametrize("identifier", list(PAPERS))
def test_every_paper_is_complete(identifier: str) -> None:
    paper = PAPERS[identifier]
    assert re.fullmatch(r"\d{4}\.\d{4,5}", identifier)  # four digits before 2015
    assert 2000 + int(identifier[:2]) == paper.year
    assert all("," in name for name in paper.authors.split(" and "))
    assert len({_key["title"] for _key in (vars(p) for p in PAPERS.values())}) == len(PAPERS)


def test_reports_run_apart_are_read_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, claims in (("a", CATALOGUE[:1]), ("b", CATALOGUE[1:2])):
        write_report(verify(CATALOGUE, claims, profile="quick", workers=1), tmp_path / name)
    assert run(["report", str(tmp_path / "b"), str(tmp_path / "a"), "--out", str(tmp_path / "c")]) == 0
    assert "1 supported, 1 contradicted" in capsys.readouterr().err
    record = read_record(tmp_path / "c")
    assert problems(record, SCHEMA) == []
    assert [claim["id"] for claim in record["claims"]] == ["T1", "T2"]
    assert {entry["id"] for entry in record["not_run"]} == {"T10", "T11"}
    assert 'id="T2"' in (tmp_path / "c" / "report.html").read_text()
    whole = write_report(verify(CATALOGUE, CATALOGUE[:2], profile="quick", workers=1), tmp_path / "d").parent
    assert (whole / "claims.csv").read_bytes() == (tmp_path / "c" / "claims.csv").read_bytes()


def test_reports_that_were_judged_otherwise_are_refused(record: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("profile", "seed", "rows_in_catalogue", "code"):
        with pytest.raises(InputError, match=f"differ in {name}"):
            merged([record, {**record, name: "other"}])
    assert run(["report", str(tmp_path / "none")]) == 2
    assert run(["report", str(tmp_path)]) == 2
    (tmp_path / "report.json").write_text("{")
    assert run(["report", str(tmp_path)]) == 2
    (tmp_path / "report.json").write_text("{}")
    assert run(["report", str(tmp_path)]) == 2
    errors = " ".join(capsys.readouterr().err.split())
    for words in ("is no folder", "holds no report.json", "is damaged", "is not of format 1"):
        assert words in errors


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_the_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert text == script(shell)
    for command in COMMANDS:
        assert f"        {command})" in text
        assert run([command, "--help"]) == 0, command
        help_text = capsys.readouterr().out
        for option in COMMANDS[command][1].split():
            assert option in help_text, (command, option)


def test_completion_works_in_bash() -> None:
    def complete(words: list[str]) -> list[str]:
        typed = f'COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; _sgdsde; echo "${{COMPREPLY[@]}}"'
        code = f'sgdsde() {{ echo "A15-small text"; }}\n{script("bash")}\n{typed}'
        return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert complete(["sgdsde", "ve"]) == ["verify"]
    assert complete(["sgdsde", "verify", "--claim", "A1"]) == ["A15-small"]
    assert complete(["sgdsde", "list", "c"]) == ["claims"]
    assert set(KINDS) <= set(complete(["sgdsde", "list", "''"]))
    assert complete(["sgdsde", "run", "spectra", "--pa"]) == ["--paths"]
    assert "/usr" in complete(["sgdsde", "report", "/us"])


def test_a_closed_pipe_ends_quietly() -> None:
    import sys

    code = "import sys; sys.argv = ['sgdsde', 'list', 'claims']; from sgdsde.__main__ import main; main()"
    done = subprocess.run(f'{sys.executable} -c "{code}" | true; exit ${{PIPESTATUS[0]}}', shell=True, executable="/bin/bash", capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode in (0, 141)


def test_every_paper_that_a_claim_cites_is_known() -> None:
    cited = {citation.identifier for claim in catalogue() for citation in claim.citations if citation.arxiv}
    assert cited - set(PAPERS) == set()
