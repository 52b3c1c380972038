"""The commands of the door by subject; `cli` puts them together and holds those that every user meets."""
