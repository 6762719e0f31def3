"""How sphinx-gallery finds the pictures of ``examples/``: the package's figures know no global state, so a script names its own ``figure``."""

from __future__ import annotations

from typing import Any

from sphinx_gallery.scrapers import figure_rst


def figures(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the ``figure`` that a block has left behind, once."""
    figure = block_vars["example_globals"].pop("figure", None)
    if figure is None:
        return ""
    path = next(block_vars["image_path_iterator"])
    figure.savefig(path, dpi=140)
    return figure_rst([path], gallery_conf["src_dir"])
