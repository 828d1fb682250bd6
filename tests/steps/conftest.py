"""Makes the ranks of the training's tests, and files of encoders' tests, importable."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("training", "encoders", "codecs")]
