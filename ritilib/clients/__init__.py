"""One importer for each server library; errors of servers become those of the one tree."""
