"""What is in the files that records name: decoded whole, in processes that a file can crash or hang, and judged."""
