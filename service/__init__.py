"""The web service around `models`: intake, engine, routes, command line."""

import os

# Networks are PyTorch's to compute. The threads of NumPy's pool would spin beside them,
# already when NumPy is imported; hence here, before anything imports it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
