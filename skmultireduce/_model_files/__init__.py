"""Models in one file that is safe to load: JSON and arrays in a zip, no pickles."""
