"""The Open Inference Protocol, version 2: ours beside other servers that speak it."""
