"""One small file of each kind that people have, and what is true of each.

Every network is freshly made here, every weight is random.
"""
