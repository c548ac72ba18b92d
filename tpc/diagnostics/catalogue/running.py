"""What is wrong with how a program is run: TP60 and TP61."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.diagnostics.diagnostic import Diagnostic, Label


def not_representable(method: str, why: str) -> Diagnostic:
    return Diagnostic(
        "TP601",
        f"the method {method} cannot represent this program: {why}",
        help="leave the choice to the plan with `--method auto`",
    )


def bad_option(option: str, why: str, remedy: str | None = None) -> Diagnostic:
    return Diagnostic("TP602", f"{option}: {why}", help=remedy)


def diverged(
    outputs: Sequence[tuple[str, str, bool]], width: int | None = None, at: Label | None = None, why: str = ""
) -> Diagnostic:
    """Outputs that are not finite.

    outputs: names, the entry at which each leaves the finite range (empty for a single number), and whether
    it never comes back.

    width: None at n = ∞. at: where that comes from, or the first of them. why: what makes it so, if
    that is known.
    """
    where = [
        f"`{name}` is not finite"
        + (f" from `{name}{entry}` on" if lasting else f" at `{name}{entry}`") * bool(entry)
        for name, entry, lasting in outputs
    ]
    return Diagnostic(
        "TP603",
        ("" if width is None else f"at width {width}, ") + ", ".join(where) + (f": {why}" if why else ""),
        at,
        help="look for a division by zero, a logarithm or root of something negative, or a learning rate too "
        "large",
    )


LESS_MEMORY = "use fewer --samples, a smaller width or fewer steps"


def too_much_memory(needed: float, free: float | None = None, remedy: str | None = None) -> Diagnostic:
    """free: what is left of the machine's memory, if that is too little. remedy: what to change."""
    than = "this machine has" if free is None else f"the {memory(free)} that are free"
    return Diagnostic(
        "TP604", f"this needs about {memory(needed)} of memory, more than {than}", help=remedy or LESS_MEMORY
    )


def out_of_memory(free: float, remedy: str | None = None) -> Diagnostic:
    """Memory gave out for something that was let begin."""
    return Diagnostic(
        "TP604", f"there is not enough memory for this: {memory(free)} are left", help=remedy or LESS_MEMORY
    )


def memory(size: float) -> str:
    """Bytes, as they are shown."""
    if size < 1e9:
        return f"{size / 1e3:,.0f} kB" if size < 1e6 else f"{size / 1e6:,.0f} MB"
    return f"{size / 1e9:,.1f} GB" if size < 1e10 else f"{size / 1e9:,.0f} GB"


def nothing_to_run(name: str) -> Diagnostic:
    return Diagnostic(
        "TP605",
        f"the program `{name}` has no output",
        help="add `output name = …`; kernels of a network need none: `tpc kernel FILE -x X.npy -o K.npy`",
    )


def cannot_write(path: str, why: str) -> Diagnostic:
    return Diagnostic(
        "TP606", f"{path} cannot be written: {why}", help="name another file, or another folder"
    )


def few_devices(wanted: int, there: int, backend: str) -> Diagnostic:
    virtual = (
        f"; for {wanted} virtual ones, set XLA_FLAGS=--xla_force_host_platform_device_count={wanted}"
        if backend == "cpu"
        else ""
    )
    return Diagnostic(
        "TP611",
        f"{wanted} devices are asked for, and JAX sees {there} ({backend})",
        help=f"ask for at most {there}{virtual}",
    )


def no_platform(platforms: str, why: str) -> Diagnostic:
    """platforms: what JAX_PLATFORMS says; empty if it says nothing."""
    if not platforms:
        return Diagnostic(
            "TP614",
            f"JAX finds nothing to compute on: {why}",
            help="look at `python -c 'import jax; jax.devices()'`",
        )
    return Diagnostic(
        "TP614",
        f"JAX cannot compute on what JAX_PLATFORMS asks for, `{platforms}`: {why}",
        help="unset JAX_PLATFORMS to have JAX choose, or set it to `cpu`; others need plugins, such as `pip "
        "install 'jax[cuda12]'`",
    )


def not_installed(package: str) -> Diagnostic:
    return Diagnostic(
        "TP615",
        f"the Python package {package}, which tpc needs for this, is not installed",
        help=f"`pip install {package}`",
    )


def not_joined(coordinator: str, why: str) -> Diagnostic:
    return Diagnostic(
        "TP612",
        f"this process cannot join the others at {coordinator}: {why}",
        help="start all of them with the same --coordinator and --processes, each with a --process of its "
        "own, 0 at that address",
    )


def different_runs() -> Diagnostic:
    return Diagnostic(
        "TP613",
        "the processes do not run the same program with the same inputs, seed and samples",
        help="start all of them alike",
    )


def epoch_diverged(what: str, epoch: int) -> Diagnostic:
    return Diagnostic("TP603", f"{what} is not finite after epoch {epoch}", help="use a smaller lr")
