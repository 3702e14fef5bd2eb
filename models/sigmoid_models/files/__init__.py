"""Files of weights, read as data: nothing in them is executed.

In: paths and bytes. Out: tensors by name, as they are stored. Imports nothing of
`sigmoid_models` but `messages`.
"""
