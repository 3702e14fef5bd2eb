"""What becomes of the files that commands write.

Knows nothing of this project.
"""
