"""Makes digits.npz from scikit-learn's handwritten digits (UCI optdigits, 1,797 images of 8 x 8, bundled with
scikit-learn).

    python programs/experiments/make_digits.py

All ten classes, the mean training image taken away, every image scaled to length 1.5: 400 training images,
which 60 batches of 20 go through three times in random order, and 200 held-out ones. scikit-learn is only
needed to make the file again.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TRAINING, HELD_OUT, STEPS, BATCH, LENGTH = 400, 200, 60, 20, 1.5


def main() -> None:
    data = load_digits()
    random = np.random.default_rng(0)
    chosen = random.permutation(len(data.target))[: TRAINING + HELD_OUT]
    images, labels = data.data[chosen], data.target[chosen]
    images = images - images[:TRAINING].mean(axis=0)
    images = (LENGTH * images / np.linalg.norm(images, axis=1, keepdims=True)).astype(np.float32).round(4)
    order = np.concatenate([random.permutation(TRAINING) for _ in range(STEPS * BATCH // TRAINING)]).reshape(
        STEPS, BATCH
    )
    np.savez_compressed(
        Path(__file__).with_name("digits.npz"),
        images=images[:TRAINING],
        j=order.astype(np.int16),
        y=labels[order].astype(np.int8),
        held_out=images[TRAINING:],
        label=labels[TRAINING:].astype(np.int8),
    )


if __name__ == "__main__":
    main()
