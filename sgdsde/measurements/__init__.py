"""Measurements, one subject per file: module-level functions that claims plan and workers run; see :class:`sgdsde.measurement.Measurement`."""
