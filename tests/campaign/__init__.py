"""Campaigns: what is done to the program on purpose. Each runs long by `python -m tests.campaign.<name>` and short in
`make test`; docs/reliability.md says what they found."""
