"""Limits of which a test looks at values."""


def values_only(evaluator):
    """The evaluator, which no longer looks at what rounding does where repeats agree: that takes longer to
    compile than the limit.

    The errors that it claims are no larger for it.
    """
    if hasattr(evaluator.module, "REPLAYED"):  # the points are drawn at random
        evaluator.module.REPLAYED = False
    return evaluator
