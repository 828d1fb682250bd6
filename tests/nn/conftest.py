"""Makes `vit_file` and `toy_molecules` importable whatever the import mode of pytest."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "encoders"), str(Path(__file__).parent)]
