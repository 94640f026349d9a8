"""N-grams of letters, hashed, and their vectors: what hints know of a text."""

from __future__ import annotations

import re
import zlib

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 16  # of n-grams
WORD = re.compile(r"[^\W\d_\u3400-\u9fff]+|[\u3400-\u9fff]+|[0%°#:]|\"\"")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
LETTERS, CHARACTERS = (2, 3, 4, 5), (1, 2, 3)  # lengths of n-grams, of English words and of Chinese


def grams(text: str) -> set[str]:
    """Return the n-grams of a text: letters of words with their borders, pairs of words, Chinese characters."""
    found: set[str] = set()
    before = ""
    for word in WORD.findall(NUMBER.sub("0", text.lower())):
        chinese = "\u3400" <= word[0] <= "\u9fff"
        padded = word if chinese else f"<{word}>"
        found |= {padded[n : n + s] for s in (CHARACTERS if chinese else LETTERS) for n in range(len(padded) - s + 1)}
        if not chinese:
            found |= {padded, f"{before} {word}"}
        before = "" if chinese else word
    return found


def buckets(text: str, count: int = BUCKETS) -> NDArray[np.int64]:
    """Return the numbers of a text's n-grams, each once, in so many buckets."""
    return np.array(sorted({zlib.crc32(gram.encode()) % count for gram in grams(text)}), np.int64)


def summed(numbers: NDArray[np.int64], weights: NDArray[np.int8], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum of the vectors of a text's n-grams.

    Args:
        numbers: of the n-grams, see `buckets`.
        weights: a vector for each bucket, in steps of ``scale``; buckets x numbers of a vector.
        scale: of each number of a vector.
    """
    return np.asarray(weights[numbers].sum(0, dtype=np.int32) * scale, np.float32)


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return likelihoods, which sum to 1, of their logarithms, which may be off by as much each."""
    powers = np.exp(scores - scores.max())
    likely: NDArray[np.float32] = powers / powers.sum()
    return likely
