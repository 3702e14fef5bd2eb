"""What is counted and logged.

In: events of requests, batches and models. Out: Prometheus text, lines on standard
error. May import `admission` and `errors`.
"""
