"""Who may write: election, its tokens, and what they may do."""
