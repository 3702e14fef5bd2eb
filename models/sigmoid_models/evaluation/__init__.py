"""How good a model is on rows whose classes are known; needs scikit-learn.

In: probabilities, labels and the true classes. Out: figures, warnings, a page of HTML.
May import the modules of `sigmoid_models`.
"""
