"""Makes the ranks of the training's tests importable."""

import sys
from pathlib import Path

for folder in ("training", "codecs"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
