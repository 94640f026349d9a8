"""Training bricks: diffusion networks that learn one edit from pairs of pictures, before and after."""
