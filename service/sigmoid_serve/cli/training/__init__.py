"""The command that trains: its options, the data they name, and what it says."""
