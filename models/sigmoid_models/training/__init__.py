"""Fitting a network to a dataset; needs scikit-learn.

In: a dataset and options. Out: a network, its card, what was measured. May import the
modules of `sigmoid_models`.
"""
