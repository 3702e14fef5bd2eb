"""What `scripts/manifests` does: reads `deploy/`, and holds it against schemas."""
