"""The stages of training, one file each, read top to bottom. Each has `run(recipe) -> RunDir`."""
