"""Random programs: products with two matrices and their transposes, nonlinearities, moments, sums, in nested
loops, over two widths."""

from __future__ import annotations

from random import Random

HEAD = """
width n
width m = 2*n
dim T = 3
input c[t < T]
matrix A : n x m ~ N(0, 1/m)
matrix B : n x n ~ N(0, 1/n)
vector u : m ~ N(0, 1)
vector v : n ~ N(0, 1)
vector w : n ~ N(0, 1)
"""
SMOOTH = ("tanh({})", "sin({})", "erf({})", "{}/2")
JUMPS = ("sign({})", "step({})", "where({} > 0.2, 1, 0)", "relu({})/2")


class Writer:
    """Writes lines; `state`: the families carried by the loop, with their widths, and what was made in this
    round."""

    def __init__(self, seed: int, functions: tuple[str, ...] = SMOOTH) -> None:
        self.random = Random(seed)
        self.functions = functions
        self.lines: list[str] = []
        self.known: dict[str, list[str]] = {"n": ["v", "w"], "m": ["u"]}
        self.scalars: list[str] = []
        self.outputs: list[str] = []
        self.count = 0

    def fresh(self) -> str:
        self.count += 1
        return f"q{self.count}"

    def vector(self, width: str) -> str:
        """One of the latest vectors, or an early one."""
        known = self.known[width]
        return self.random.choice(known[-3:]) if self.random.random() < 0.7 else self.random.choice(known)

    def step(self, indent: str, index: str) -> None:
        kind, name = self.random.choice("ppnnnscc"), self.fresh()
        target = f"{name}{index}"
        if kind == "p":
            product, to, of = self.random.choice(
                [("A", "n", "m"), ("A.T", "m", "n"), ("B", "n", "n"), ("B.T", "n", "n")]
            )
            self.lines.append(f"{indent}{target} = {product} @ {self.vector(of)}")
            self.known[to].append(target)
        elif kind == "c":
            self.chain(indent, index, name)
        elif kind == "n":
            width = self.random.choice("nnm")
            inner = f"{self.vector(width)} + {self.vector(width)}/2"
            phi = self.random.choice(self.functions).format(f"({inner})")
            scale = (
                f"{self.random.choice(self.scalars)}*" if self.scalars and self.random.random() < 0.4 else ""
            )
            self.lines.append(f"{indent}{target} = {scale}{phi}")
            self.known[width].append(target)
        else:
            width = self.random.choice("nm")
            self.lines.append(f"{indent}{target} = mean({self.vector(width)}*tanh({self.vector(width)}))")
            self.scalars.append(target)

    def chain(self, indent: str, index: str, name: str) -> None:
        """A product, a function of it, a product with the transpose: what ZDot is about."""
        matrix, back, to, of = self.random.choice(
            [("A", "A.T", "n", "m"), ("A.T", "A", "m", "n"), ("B", "B.T", "n", "n"), ("B.T", "B", "n", "n")]
        )
        phi = self.random.choice(self.functions).format(f"({name}{index} + {self.vector(to)}/2)")
        self.lines += [
            f"{indent}{name}{index} = {matrix} @ {self.vector(of)}",
            f"{indent}{name}b{index} = {back} @ {phi}",
        ]
        self.known[to].append(f"{name}{index}")
        self.known[of].append(f"{name}b{index}")

    def program(self, steps: int) -> str:
        carried = {"x": "n", "z": "m"}
        self.lines += ["x[0] = tanh(v)", "z[0] = u"]
        for _ in range(self.random.randrange(3)):
            self.step("", "")
        outside = {width: list(names) for width, names in self.known.items()}
        scalars = list(self.scalars)
        self.lines.append("for t < T:")
        for name, width in carried.items():
            self.known[width] += [f"{name}[t]"]
        self.scalars.append("c[t]")
        for _ in range(steps):
            self.step("    ", "[t]")
        if self.random.random() < 0.5:
            self.inner_loop()
        history = (
            f" + sum(s < {self.random.choice(['t', 't+1'])}: "
            f"c[s]*{self.random.choice(['x[s]', 'x[0]', 'x[s]*w'])})/3"
        )
        self.lines.append(
            f"    x[t+1] = tanh(x[t]/2 + {self.vector('n')}{history if self.random.random() < 0.6 else ''})"
        )
        self.lines.append(f"    z[t+1] = tanh(z[t]/2 + {self.vector('m')})")
        self.lines.append(f"    f[t] = mean(x[t+1]*{self.vector('n')}) + mean(z[t+1]*u)")
        self.known = {"n": [*outside["n"], "x[T]", "x[1]"], "m": [*outside["m"], "z[T]", "z[2]"]}
        self.scalars = scalars
        for _ in range(self.random.randrange(4)):
            self.step("", "")
        self.lines += [f"g = mean({self.vector('n')}*{self.vector('n')})", "output f", "output g"]
        return HEAD + "\n".join(self.lines) + "\n"

    def inner_loop(self) -> None:
        """A triangular loop inside, with products of its own."""
        matrix, to, of = self.random.choice(
            [("B", "n", "n"), ("B.T", "n", "n"), ("A", "n", "m"), ("A.T", "m", "n")]
        )
        back, carried = (
            ("A.T" if matrix == "A" else "A" if matrix == "A.T" else "B.T" if matrix == "B" else "B"),
            {"n": "x", "m": "z"},
        )
        self.lines += [
            "    for k < t+1:",
            f"        a[t, k] = {matrix} @ {carried[of]}[k]",
            f"        b[t, k] = {back} @ tanh(a[t, k] + {carried[to]}[t])",
        ]
        name = self.fresh()
        self.lines.append(f"    {name}[t] = sum(k < t+1: b[t, k])/2")
        self.known[of].append(f"{name}[t]")


def random_program(seed: int, functions: tuple[str, ...] = SMOOTH) -> str:
    writer = Writer(seed, functions)
    return writer.program(2 + writer.random.randrange(5))
