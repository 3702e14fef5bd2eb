"""What depth leaves of a gradient, layer by layer.

In: a network, its card and some rows. Out: a few numbers for each hidden layer.
May import the modules of `sigmoid_models`.
"""
