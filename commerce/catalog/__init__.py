"""The catalog: products, their import and look-up."""
