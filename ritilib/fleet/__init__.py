"""What the platform engineer says: the fleet's files, read, judged and turned into values."""
