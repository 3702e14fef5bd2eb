"""Files of weights made into checkpoints of ours: once, in place of options at starts.

In come a file, what its user says of it, and rows with known outputs; out comes a
network with a card that says all of it, or why not.
"""
