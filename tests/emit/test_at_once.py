"""How many rounds of a loop are computed at once: as many as there is room for, which divide them."""

from types import SimpleNamespace

import pytest

from tpc.emit.parallel import ARRAYS, Parallel
from tpc.plan.gaussians import Layout

BYTES = 8000  # of a vector
LAYOUT = Layout({}, {}, {("W", False): 2, ("W", True): 3, ("A", False): 5}, {"W": 1, "A": 2})
EACH = {  # bytes of a round, by the sides whose bases it has
    (): 0,
    (("W", False),): 2 * BYTES * ARRAYS,
    (("W", False), ("W", True)): 5 * BYTES * ARRAYS,
    (("A", False),): 10 * BYTES * ARRAYS,  # of two matrices
    (("A", True),): 0,
}


@pytest.mark.parametrize("chains", EACH)
@pytest.mark.parametrize("rounds", [1, 2, 7, 12])
def test_as_many_rounds_are_there_at_once_as_have_room(chains, rounds):
    each = EACH[chains]
    for room in {k * each + more for k in range(1, rounds + 1) for more in (-1, 0, 1)}:
        body = SimpleNamespace(layout=LAYOUT, vector_bytes=BYTES, at_once=max(0, room))
        found = Parallel._at_once(
            SimpleNamespace(body=body), SimpleNamespace(greatest=rounds), SimpleNamespace(chains=chains)
        )
        divisors = [k for k in range(1, rounds + 1) if rounds % k == 0]
        assert found == max(k for k in divisors if k == 1 or k * each <= max(0, room))
