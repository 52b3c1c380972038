"""`emoreason check --topology`: a table for each training run of the recipes, and whether all of them fit."""

from pathlib import Path

from emoreason.commands.terminal import err, out, quiet


def print_fits(paths: list[Path], text: str) -> bool:
    """Print the tables; whether everything fits hardware as `text` says it."""
    quiet()
    from emoreason.topology import parse_topology

    topology = parse_topology(text)  # before torch is waited for
    from emoreason.fit_report import fits_of, problems, summary, table

    everything_fits = True
    for path in paths:
        fits = fits_of(path, topology)
        for found in fits:
            out.print(table(path, found), highlight=False)
            for problem in problems(found):
                everything_fits = False
                err.print(f"{path}: {found.plan.name}: {problem}", markup=False, highlight=False, soft_wrap=True)
        if fits:
            out.print(summary(fits), highlight=False, soft_wrap=True)
    return everything_fits
