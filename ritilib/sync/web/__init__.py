"""What the controller answers over HTTP, and who may ask."""
