"""Pages for people: the playground at `/`, the API documentation at `/docs`."""
