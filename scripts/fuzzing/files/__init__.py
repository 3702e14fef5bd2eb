"""Checkpoint files to be read: good, damaged, dear and malicious ones."""
