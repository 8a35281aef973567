"""Models that know no estimator, and what they run on."""
