"""What every test process starts from."""

import os
import signal
import sys
from pathlib import Path

# Several test processes share the cores; each computes with one thread. Torch reads this when it is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A process that a script started in the background ignores SIGINT, and so do its children; tests send it on purpose.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Models that several rooms are tested with stand beside this file.
sys.path.append(str(Path(__file__).parent))
