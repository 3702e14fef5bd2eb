"""Files of weights, read as data: nothing in them is executed.

In: paths and bytes. Out: what they are, and what was saved in them: tensors as they are
stored, containers, and descriptions of the rest. Imports nothing of `sigmoid_models`.
"""
