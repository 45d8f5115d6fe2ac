"""Figures as SVG."""

import logging

# Where it keeps its list of fonts is of no concern to whoever has no home folder.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
