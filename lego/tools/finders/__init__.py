"""Where things are in a picture: one file a way of finding. Each returns a mask with a confidence."""
