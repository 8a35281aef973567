r"""
Which reduction do my data need?
================================

:func:`~skmultireduce.diagnose` computes the quantities that the guarantees are made of: the spread
of set sizes (4.6d, 3.3b), the harmonic mean set size of each label (1.5), and, with a model of
pairs, the spread of :math:`\sigma`, the expected size of the set given a picked label (4.6).
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from skmultireduce import diagnose
from skmultireduce.datasets import load_python_imports

data = load_python_imports(subset="train")
diagnosis = diagnose(None, None, data.target)
print(diagnosis)

# %%
# Set sizes, and what a picked label gets
# ---------------------------------------
# ``pick_one`` shows label i less often than it occurs, by the factor of its harmonic mean set
# size. Labels that occur in large sets get less than others; where the right figure is flat,
# nothing but a common factor is lost.
sizes = np.asarray(data.target.sum(axis=1)).ravel()
counts = np.asarray(data.target.sum(axis=0)).ravel()
figure, axes = plt.subplots(1, 2, figsize=(5.4, 3.2))
axes[0].hist(sizes, bins=np.arange(0.5, sizes.max() + 1.5), color="C0")
axes[0].set(xlabel="labels of a row", ylabel="rows")
axes[1].plot(counts, diagnosis.harmonic_mean_sizes, ".")
_ = axes[1].set(
    xscale="log", xlabel="rows of the label", ylabel="harmonic mean size", ylim=(0, None)
)
