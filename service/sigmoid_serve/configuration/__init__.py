"""The settings: read once, bounded, and told apart from what looks like one.

In: environment variables and options. Out: one frozen `Settings`. May import
`errors` and `sigmoid_models`.
"""
