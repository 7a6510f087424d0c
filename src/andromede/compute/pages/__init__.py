"""The pages of consoles: plain files, served by the relay."""
