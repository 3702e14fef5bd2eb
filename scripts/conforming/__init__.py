"""Requests of the Open Inference Protocol, and what a server must answer to each."""
