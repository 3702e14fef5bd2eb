"""What the fields of a request must be, and the errors of those that are not."""
