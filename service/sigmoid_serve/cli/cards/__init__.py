"""How the commands show what a checkpoint says: to people, and to programs."""
