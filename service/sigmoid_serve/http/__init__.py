"""What is HTTP about an answer: routes, errors, authentication, the documentation.

In: an ASGI scope, or what is left of one. Out: responses, with the headers that every
response has. Names fields and nothing else: the work is `inference`'s. May import
`inference`, `registry`, `monitoring` and what is below them.
"""
