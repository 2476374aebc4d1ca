"""The exercises, one module a notebook, each with its right and its wrong answers."""
