"""Makes `toy_molecules` importable whatever the import mode of pytest."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "nn"))
