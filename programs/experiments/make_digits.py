"""Makes digits.npz, the data of digits.tp: two classes of scikit-learn's handwritten digits, 8 × 8 pixels.

    python programs/experiments/make_digits.py

Threes (label −1) and eights (+1), the mean training image taken away, every image scaled to length 1: 50 training images, one for each step,
and 100 held-out ones. scikit-learn is only needed to make the file again.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

LOW, HIGH, STEPS, HELD_OUT, LENGTH = 3, 8, 50, 100, 1.0


def main() -> None:
    digits = load_digits()
    chosen = np.flatnonzero((digits.target == LOW) | (digits.target == HIGH))
    order = np.random.default_rng(0).permutation(chosen)[:STEPS + HELD_OUT]
    images = digits.data[order] / 16
    images = images - images[:STEPS].mean(axis=0)
    images = np.round(LENGTH * images / np.linalg.norm(images, axis=1, keepdims=True), 4)
    labels = np.where(digits.target[order] == HIGH, 1.0, -1.0)
    arrays = {"xi": images[:STEPS], "y": labels[:STEPS], "xs": images[STEPS:], "ys": labels[STEPS:]}
    np.savez_compressed(Path(__file__).with_name("digits.npz"), **arrays)


if __name__ == "__main__":
    main()
