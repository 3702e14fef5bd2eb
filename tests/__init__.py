"""The tests; PyTorch's threads wait as in the server, without spinning."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
