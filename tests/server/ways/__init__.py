"""The ways that a request may take, and how the same request is sent by each."""
