"""The web service around `models`: intake, engine, routes, command line."""
