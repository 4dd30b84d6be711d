"""The command line of an imaginary platform, which exists in memory alone."""
