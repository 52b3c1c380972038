"""What this project adds to TRL's trainers, and nothing more: media, whole groups, comparisons, and logs and checkpoints that survive."""
