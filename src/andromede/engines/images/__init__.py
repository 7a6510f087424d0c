"""Looking into images and fetching them."""
