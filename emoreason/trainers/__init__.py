"""What this project adds to TRL's trainers, and nothing more: logs and completions that survive, checkpoints that are whole."""
