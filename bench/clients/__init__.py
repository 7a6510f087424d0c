"""What sends a load: requests made beforehand, and the processes and threads that send them."""
