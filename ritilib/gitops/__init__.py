"""The GitOps repository: the only package that runs Git."""
