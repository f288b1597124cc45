"""`riti dev demo`: the product's whole job once, on real servers, each step judged."""
