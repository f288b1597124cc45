"""What is wished against what is: pure decisions, no server in sight."""
