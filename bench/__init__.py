"""Speed of the object port beside peers on the same machine. `make bench`."""
