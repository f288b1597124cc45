"""Offices with their boxes, telephones that speak and listen, and the judging of what they heard."""
