"""Training of a model: epochs, streams, schedule, predictions."""
