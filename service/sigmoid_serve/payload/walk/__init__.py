"""The strict way through the text of a tensor: all its numbers, or the first error."""
