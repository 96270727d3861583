"""Two imports away from the pipeline."""


def scaled(values, factor):
    """Multiply."""
    return values * factor
