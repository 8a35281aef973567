import numpy as np


def best_jaccard(ls, s):
    Y = np.zeros(s.shape, bool)
    Y[ls.rows, ls.indices] = True
    f = s.ravel()
    i = np.argsort(-f, kind="stable")
    tp = np.cumsum(Y.ravel()[i])
    n = np.arange(1, len(f) + 1)
    j = tp / (Y.sum() + n - tp)
    ok = np.r_[f[i][1:] != f[i][:-1], True]
    j[~ok] = -1
    return f[i][j.argmax()], j.max()
