"""What the leading controller tells others: the forge how a commit fares, and people what they should know."""
