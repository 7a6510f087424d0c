"""The systems under measurement, this program among them."""
