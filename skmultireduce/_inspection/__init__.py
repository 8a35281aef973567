"""Looking into fitted models: their linear parts, through pipelines and wrappers."""
