"""The servers to compare with; each file is a program: `FILE CHECKPOINT PORT`."""
