"""The service on a Ray cluster: the tests of HTTP, kills, updates, and scaling."""


class ClusterError(Exception):
    """What ends the run, in one sentence."""
