"""Files of weights without a card: which network they hold, and what they leave open.

In comes what `sigmoid_models.files` reads; out goes the network that was found, or why
there is none. Nothing is assumed: what a file does not say, its user must name.
"""
