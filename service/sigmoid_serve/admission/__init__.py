"""Admission: the in-flight limit, and the state of a request: stages, deadline.

In: sizes in elements. Out: a reservation, or `queue_full`. May import `errors`.
"""
