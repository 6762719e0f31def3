"""Configurations: defaults < profile < file < command line, every value checked; whatever a user types gets a sentence, never a traceback."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import STUDIES, go

from sgdsde.runs import config_file, main_run
from sgdsde.runs.arguments import parse
from sgdsde.runs.command import Exit
from sgdsde.runs.config import resolve
from sgdsde.runs.config import settings as settings_of
from sgdsde.runs.identity import identity
from sgdsde.runs.listing import load
from sgdsde.runs.reading import open_run
from sgdsde.types import InputError

WALK = load("walk", STUDIES)
Config: Any = WALK.config


def config_of(out: Path) -> dict[str, Any]:
    (folder,) = out.iterdir()
    return open_run(folder).config


def test_defaults_then_profile_then_file_then_command_line(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("paths: 48\nsteps: 3\nblock_paths: 24\n")
    words = ["--profile", "full", "--config", str(file), "--steps", "5", "--seed=7"]
    assert go(tmp_path / "r", *words) == Exit.COMPLETE
    config = config_of(tmp_path / "r")
    assert (config["cells"], config["paths"], config["block_paths"], config["steps"], config["seed"]) == (4, 48, 24, 5, 7)
    assert go(tmp_path / "p", "--profile", "full") == Exit.COMPLETE
    assert config_of(tmp_path / "p")["paths"] == 256


def test_another_configuration_is_another_run_and_the_same_one_is_not(tmp_path: Path) -> None:
    for words in ((), ("--seed", "1"), ("--seed", "0"), ("--steps=8", "--paths", "64.0"), ("--steps", "9")):
        assert go(tmp_path, *words) == Exit.COMPLETE
    assert len(list(tmp_path.iterdir())) == 3


def test_a_grid_is_a_run_for_each_combination(tmp_path: Path) -> None:
    assert go(tmp_path, "--grid", "steps=2,3", "--grid", "seed=1,2,3") == Exit.COMPLETE
    found = sorted((open_run(folder).config["steps"], open_run(folder).config["seed"]) for folder in tmp_path.iterdir())
    assert found == [(2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3)]
    assert parse(["x", "--grid", "growth=1,2;3,4"]).points() == [{"growth": "1,2"}, {"growth": "3,4"}]


def test_the_identity_names_study_configuration_and_code() -> None:
    one = identity("walk", {"a": 1, "b": 0.1}, "code")
    assert one == identity("walk", {"b": 0.1, "a": 1}, "code")
    assert (
        len({one, identity("talk", {"a": 1, "b": 0.1}, "code"), identity("walk", {"a": 2, "b": 0.1}, "code"), identity("walk", {"a": 1, "b": 0.1}, "other")})
        == 4
    )


def made(**values: Any) -> Any:
    return resolve(Config, [("test", values)])


@pytest.mark.parametrize(
    ("key", "value", "result"),
    [
        ("pause", "1e-3", 1e-3),
        ("pause", 2, 2.0),
        ("pause", "-0.0", 0.0),
        ("paths", "1e6", 1_000_000),
        ("paths", 5.0, 5),
        ("paths", "1_000", 1000),
        ("growth", "0.5, 1e-2", (0.5, 0.01)),
        ("growth", 3, (3.0,)),
        ("growth", [1, 2.5], (1.0, 2.5)),
        ("drift", "none", None),
        ("drift", None, None),
        ("drift", "-0.5", -0.5),
        ("figure", "TRUE", True),
        ("fault", "nan", "nan"),
    ],
)
def test_values_become_what_their_field_is(key: str, value: Any, result: Any) -> None:
    found = getattr(made(**{key: value}), key)
    assert found == result
    assert type(found) is type(result)
    assert math.copysign(1, found) == math.copysign(1, result) if isinstance(found, float) else True


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("pause", float("nan"), "wanted a finite number"),
        ("pause", "nan", "wanted a finite number"),
        ("pause", "inf", "wanted a finite number"),
        ("pause", "1e999", "wanted a finite number"),
        ("pause", 10**400, "wanted a finite number"),
        ("pause", "-1", "wanted at least 0"),
        ("pause", "", "wanted a number"),
        ("pause", "١", "wanted a number"),
        ("pause", True, "wanted a number"),
        ("paths", 1.5, "wanted a whole number"),
        ("paths", 10**30, "at most 63 bits"),
        ("paths", "9" * 5000, "wanted a whole number"),
        ("paths", 0, "wanted at least 1"),
        ("paths", None, "wanted a whole number"),
        ("paths", [1], "wanted a whole number"),
        ("growth", "1,,2", "wanted a number"),
        ("growth", "0", "wanted more than 0"),
        ("growth", [1, 1.0], "twice"),
        ("growth", [], "at least one"),
        ("growth", {"a": 1}, "at least one"),
        ("drift", 2, "wanted at most 1"),
        ("figure", "yes", "wanted true or false"),
        ("figure", 1, "wanted true or false"),
        ("fault", "NaN", "wanted one of none, nan"),
        ("fault", True, "wanted one of"),
        ("once", "a\nb", "printable"),
        ("once", 3, "printable"),
        ("paths\n", 3, "is no setting"),
        ("path", 3, "Did you mean 'paths'"),
        ("../paths", 3, "is no setting"),
    ],
)
def test_wrong_values_are_refused_with_what_was_wanted(key: str, value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        made(**{key: value})
    assert len(str(caught.value)) < 700
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"paths: 1\npaths: 2\n", "line 2: 'paths' stands there twice"),
        (b"paths: &a 1\nseed: *a\n", "anchors and aliases"),
        (b"paths: {a: 1}\n", "tables inside a table"),
        (b"growth: [[1]]\n", "plain values only"),
        (b"- 1\n- 2\n", "wanted a table"),
        (b"just words", "wanted a table"),
        (b"paths: [1\n", "not YAML at line"),
        (b"paths: 1\n---\nseed: 2\n", "not YAML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"paths: !!python/object/apply:os.system ['echo']\n", "plain values only"),
        (b"paths: !!python/name:os.system ''\n", "not YAML"),
        (b"once: \x00", "not YAML"),
        (b"? [a]\n: 1\n", "must be plain text"),
        (b"paths: !!int x\n", "cannot be read"),
        (b"paths: " + b"9" * 5000, "cannot be read"),
        (b"[" * 5000, "tables inside"),
        (b"!!python/dict {}\n", "wanted a table"),
    ],
)
def test_files_that_are_no_flat_table_are_refused(text: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        config_file.parse(text, "--config x")


def test_scalars_are_those_of_yaml_1_2() -> None:
    text = b"a: 1e-3\nb: no\nc: 12:30\nd: 0o17\ne: 1_0\nf: .inf\ng: ~\nh: 010\ni: true\nj: 2001-01-01\nk: [1, 2.5, x]\nl: -.5\nm:\n"
    found = config_file.parse(text, "x")
    assert found == {
        "a": 1e-3, "b": "no", "c": "12:30", "d": "0o17", "e": "1_0", "f": math.inf, "g": None, "h": 10, "i": True, "j": "2001-01-01",
        "k": [1, 2.5, "x"], "l": -0.5, "m": None,
    }  # fmt: skip
    assert config_file.parse(b"", "x") == config_file.parse(b"# nothing\n", "x") == {}
    assert yaml.safe_load("c: 12:30")["c"] == 750  # what the usual loader would have made of it


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"#" * (config_file.MAX_BYTES + 1))
    for path, words in ((tmp_path / "none", "No such file"), (tmp_path, "directory"), (tmp_path / "big", "larger than")):
        with pytest.raises(InputError, match=words):
            config_file.load(path)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["wallk"], "Did you mean 'walk'"),
        (["../walk"], "is no study"),
        (["/etc/passwd"], "is no study"),
        (["walk", "--step", "3"], "Did you mean 'steps'"),
        (["walk", "--steps"], "--steps needs a value"),
        (["walk", "--steps", "3", "--steps", "4"], "stands there twice"),
        (["walk", "talk"], "Two studies are named"),
        (["walk", "--grid", "steps=1,1"], "stands there twice"),
        (["walk", "--grid", "steps=1,1.0"], "same configuration"),
        (["walk", "--grid", "steps=1,x"], "wanted a whole number"),
        (["walk", "--grid", "steps=1,2", "--steps", "3"], "wanted one of them"),
        (["walk", "--grid", "steps"], "wanted NAME=VALUE"),
        (["walk", "--profile", "ful"], "Did you mean 'full'"),
        (["walk", "--profile", "paper"], "has no profile 'paper'"),
        (["walk", "--executor", "threads:2"], "wanted serial, thread:N"),
        (["walk", "--executor", "process:-1"], "number of workers"),
        (["walk", "--executor", "process:" + "9" * 400], "number of workers"),
        (["walk", "--executor", "dask://"], "wanted dask://HOST:PORT"),
        (["walk", "--gpus", "0"], "--gpus goes with --device cuda"),
        (["walk", "--gpus", "a"], "wanted device numbers"),
        (["walk", "--gpus", "0", "--executor", "serial"], "goes with --executor process"),
        (["walk", "--deadline", "-1"], "wanted seconds > 0"),
        (["walk", "--deadline", "nan"], "wanted seconds > 0"),
        (["walk", "--attempts", "0"], "wanted a whole number"),
        (["walk", "--paths", "nan"], "wanted a whole number"),
        (["walk", "--cells", "100000", "--paths", "1e12", "--block_paths", "1"], "blocks are too many"),
        (["walk", "--config", "/nonexistent/x"], "cannot be read"),
        (["walk", "--out", ""], "wanted a path"),
        (["walk", "--experiments", "/nonexistent"], "No folder of studies"),
        (["broken"], "cannot be imported: ZeroDivisionError"),
        (["empty"], "holds no STUDY"),
        (["thawed"], "must be a frozen dataclass"),
    ],
)
def test_a_users_mistake_is_a_sentence_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], typed: list[str], said: str) -> None:
    studies = tmp_path / "studies"
    studies.mkdir()
    (studies / "walk.py").write_bytes((STUDIES / "walk.py").read_bytes())
    (studies / "broken.py").write_text('"""Broken."""\n1 / 0\n')
    (studies / "empty.py").write_text('"""Empty."""\n')
    thawed = (STUDIES / "walk.py").read_text().replace("@dataclass(frozen=True)", "").replace("class Config(StudyConfig)", "class Config")
    (studies / "thawed.py").write_text(thawed)
    options = {"--experiments": str(studies), "--out": str(tmp_path / "runs")}
    extra = [word for name, value in options.items() if name not in typed for word in (name, value)]
    assert main_run([*typed, *extra]) == Exit.USAGE
    out, err = capsys.readouterr()
    sentence = " ".join(err.split())  # wrapped at 80 columns, wherever the path of the test's folder makes it
    assert sentence.startswith("sgdsde: error: ")
    assert said in sentence
    assert "Traceback" not in err + out
    assert not (tmp_path / "runs").exists()


def test_help_names_every_setting_and_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main_run(["walk", "--experiments", str(STUDIES), "--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"--{name} " in said for name in [*settings_of(Config), "grid", "executor"])
    assert "75 stopped: run the same command again" in said
    assert main_run(["--experiments", str(STUDIES), "--help"]) == 0
    assert "walk" in capsys.readouterr().out


def test_settings_know_their_fields() -> None:
    assert list(settings_of(Config)) == [field.name for field in dataclasses.fields(Config)]
    assert all(setting.help for setting in settings_of(Config).values())
