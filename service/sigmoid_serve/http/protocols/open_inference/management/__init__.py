"""What the server tells of itself and of its models, and which of them it serves."""
