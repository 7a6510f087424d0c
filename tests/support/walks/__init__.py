"""How the work of each lifecycle begins and where it comes to rest: one file for each domain, each with its WALKS."""
