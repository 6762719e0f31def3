"""``sgdsde run NAME …`` as it was typed: the run's own options, the study's settings, the grid. Values are judged later, against the study's types."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sgdsde.runs.study import PROFILES
from sgdsde.types import InputError, suggest

#: the run's own options: metavariable and help; every other --NAME is a setting of the study
OPTIONS = {
    "config": ("FILE", "settings from a flat YAML file; the command line wins over it"),
    "grid": ("NAME=V1,V2", "one run for each value; several grids give all combinations"),
    "profile": ("{" + ",".join(PROFILES) + "}", "the study's settings for a size (default: quick); files and options win over it"),
    "out": ("DIR", "runs lie in DIR/NAME-IDENTITY (default: runs)"),
    "executor": ("KIND", "process:N, thread:N, serial, dask:N, dask://HOST:PORT (default: a process for each core)"),
    "gpus": ("0,1,…", "with process:N: worker i sees one of these devices, as cuda:0"),
    "deadline": ("SECONDS", "a block that runs longer hangs (default: 20 times the longest block, at least 600 s)"),
    "attempts": ("N", "how often a block may fail before it has failed for good (default: 3)"),
    "experiments": ("DIR", "the folder of studies (default: the checkout's experiments/)"),
}
HELP = ("-h", "--help")
_MAX_GRID = 10_000


@dataclass(frozen=True)
class Arguments:
    """What was typed. ``options`` are the run's own, ``settings`` the study's, ``grids`` the settings to be varied with the values' texts."""

    name: str = ""
    help: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    grids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def path(self, option: str, default: Path | None = None) -> Path | None:
        """A path among the options.

        Raises:
            InputError: it is empty or holds a NUL.
        """
        if option not in self.options:
            return default
        text = self.options[option]
        if not text or "\0" in text:
            raise InputError(f"--{option} {text!r}: wanted a path.")
        return Path(text)

    def points(self) -> list[dict[str, str]]:
        """Every combination of the grid's values; one empty combination without a grid."""
        return [dict(zip(self.grids, values, strict=True)) for values in itertools.product(*self.grids.values())]


def parse(argv: Sequence[str]) -> Arguments:
    """Split the command line; ``--name value`` and ``--name=value`` are alike, ``-`` and ``_`` too.

    Raises:
        InputError: a value is missing, an option stands there twice, two studies are named, a grid is malformed.
    """
    names: list[str] = []
    options: dict[str, str] = {}
    settings: dict[str, str] = {}
    grids: dict[str, tuple[str, ...]] = {}
    words = [word for word in argv if word not in HELP]
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            names.append(word)
            continue
        option, equals, value = word[2:].partition("=")
        option = option.replace("-", "_")
        if not equals:
            if not words or words[0].startswith("--"):
                raise InputError(f"--{option[:80]} needs a value: --{option[:80]} VALUE.")
            value = words.pop(0)
        if option == "grid":
            key, values = _grid(value)
            if key in grids:
                raise InputError(f"--grid {key} stands there twice; give all its values at once.")
            grids[key] = values
        elif option in options or option in settings:
            raise InputError(f"--{option} stands there twice.")
        else:
            (options if option in OPTIONS else settings)[option] = value
    if len(names) > 1:
        raise InputError(f"Two studies are named: {names[0][:80]!r} and {names[1][:80]!r}; wanted one. An option's value follows it: --NAME VALUE.")
    both = sorted(set(grids) & set(settings))
    if both:
        raise InputError(f"{both[0]} stands in --grid and as --{both[0]}; wanted one of them.")
    arguments = Arguments(names[0] if names else "", any(word in HELP for word in argv), options, settings, grids)
    count = 1
    for values in grids.values():
        count *= len(values)
    if count > _MAX_GRID:
        raise InputError(f"The grid has {count:,} points; at most {_MAX_GRID:,}.")
    profile = options.get("profile", "quick")
    if profile not in PROFILES:
        raise InputError(f"--profile {profile[:80]!r} is no profile." + suggest(profile[:80], list(PROFILES)))
    return arguments


def _grid(text: str) -> tuple[str, tuple[str, ...]]:
    """``eta=0.1,0.2``; where values are lists themselves, ``;`` stands between them: ``etas=.1,.2;.1,.3``."""
    key, equals, values = text.partition("=")
    parts = tuple(part.strip() for part in values.split(";" if ";" in values else ","))
    if not key or not equals or not all(parts):
        raise InputError(f"--grid {text[:80]!r}: wanted NAME=VALUE,VALUE.")
    if len(set(parts)) < len(parts):
        raise InputError(f"--grid {text[:80]!r}: a value stands there twice.")
    return key.strip().replace("-", "_"), parts
