"""What happens in carts, for whoever wants to know."""
