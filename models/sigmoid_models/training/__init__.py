"""Fitting a network to a dataset; needs scikit-learn.

In: a dataset and options. Out: a network and its card, and how good it is. May import
the modules of `sigmoid_models`, and `sigmoid_models.evaluation`.
"""
