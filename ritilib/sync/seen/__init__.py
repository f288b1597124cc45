"""What people see of the controller: its own view and history in Consul, and what is made of them for a reader."""
