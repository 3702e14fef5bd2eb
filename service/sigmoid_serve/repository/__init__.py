"""The model repository on disk: which files are which versions of which models.

In: paths as they were named. Out: files with names and versions, and what cannot be
served with the reason. Reads no weights. May import `configuration`, `errors` and
`sigmoid_models`.
"""
