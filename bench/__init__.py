"""The benchmark: the role side by side with the same work done by hand. `python -m bench --help` says how it is run."""
