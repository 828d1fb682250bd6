"""Makes the ranks of the training's tests, files of encoders' tests and reference vectors importable."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("training", "encoders", "codecs", "parity")]
