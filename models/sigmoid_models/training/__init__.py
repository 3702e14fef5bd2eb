"""Fitting a network to a dataset; needs scikit-learn.

In: a dataset and options. Out: a network and its card, with metrics. May import the
modules of `sigmoid_models`.
"""
