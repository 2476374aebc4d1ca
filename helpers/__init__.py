"""What the notebooks share: one small module a subject, imported when it is asked for."""
