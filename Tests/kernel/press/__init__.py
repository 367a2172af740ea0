"""Resources that fill up and empty at a steady rate, and what porttrace says of it meanwhile."""
