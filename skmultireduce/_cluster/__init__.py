"""Rows, training and cutoffs on a Dask cluster."""

try:
    import dask.array  # noqa: F401
    from distributed import Client
except ImportError as error:
    raise ImportError(
        "skmultireduce.dask needs Dask and its distributed scheduler. Install them with "
        "pip install 'skmultireduce[dask]'."
    ) from error

__all__ = ["Client"]
