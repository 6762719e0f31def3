"""Regions, one per file; see :class:`sgdsde.region.Region`."""

from sgdsde.regions.ball import Ball
from sgdsde.regions.box import Box
from sgdsde.regions.half_space import HalfSpace
from sgdsde.regions.interval import Interval, as_interval
from sgdsde.regions.outside import Outside
from sgdsde.regions.positive import Positive
from sgdsde.regions.sublevel import Sublevel
from sgdsde.regions.where import Where, as_region

__all__ = ["Ball", "Box", "HalfSpace", "Interval", "Outside", "Positive", "Sublevel", "Where", "as_interval", "as_region"]
