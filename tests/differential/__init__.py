"""The reference against the product, on scenarios and traces drawn together."""
