"""What this machine has, what it lacks, and how the rest is had."""
