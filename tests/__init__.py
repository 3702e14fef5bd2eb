"""The tests; PyTorch's threads wait as in the server, without spinning."""

import os
import signal

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# A shell that starts the tests in the background has Ctrl-C ignored, by them and by
# what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
