"""The model repository on disk: which files are which versions of which models.

In: paths from the command line or the settings. Out: checkpoint files with their names,
versions and bytes, and a reason for each that cannot be served. Loads no weights. May
import `configuration`, `errors` and `sigmoid_models`.
"""
