"""What the notebooks share: one small module a subject. Nothing is imported until it is asked for."""
