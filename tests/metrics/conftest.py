"""Tests of metrics share their cases."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
