"""Lets the tests of the engine, and the processes they start, share the small families of `small_families.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
