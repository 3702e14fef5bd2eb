"""An inference request, from the bytes of its body to the bytes of its response.

In: a body with its media types. Out: pieces of bytes, or one error. Knows no web
framework: every way that a request takes calls these functions. May import `registry`,
`engine`, `payload` and what is below them.
"""
