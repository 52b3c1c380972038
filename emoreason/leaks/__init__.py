"""What a test set shares with a training set: ids, people, files, media that are alike, and published sets made of one another."""
