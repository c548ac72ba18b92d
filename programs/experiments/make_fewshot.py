"""Makes tpc/experiments/digits.npz from scikit-learn's handwritten digits (UCI optdigits, CC BY 4.0, bundled
with scikit-learn).

    python programs/experiments/make_fewshot.py

60 drawings of 8 x 8 of each digit: 0 to 2 to train on, 3 and 4 to validate on (with their rotations 12 and 8
classes), 5 to 9 to test on.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

DRAWINGS = 60


def main() -> None:
    data = load_digits()
    images = np.stack([data.images[data.target == digit][:DRAWINGS] for digit in range(10)])
    np.savez_compressed(
        Path(__file__).parents[2] / "tpc" / "experiments" / "digits.npz",
        images=np.round(images * 255 / 16).astype(np.uint8),
        split=np.array(["train"] * 3 + ["val"] * 2 + ["test"] * 5),
    )


if __name__ == "__main__":
    main()
