"""A search for the requests that cost the most: CPU, memory, silence of `/livez`."""
