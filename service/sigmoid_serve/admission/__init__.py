"""What is let in: the limit, and the state of a request with its stages and deadline.

In: sizes in elements. Out: a place, or `queue_full`. May import `errors`.
"""
