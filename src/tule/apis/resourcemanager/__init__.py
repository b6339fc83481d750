"""Resource Manager: the projects of this server, by id and by number."""
