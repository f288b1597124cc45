"""What a box and the controller say to each other while a box enrolls: values, encodings, decisions; no I/O."""
