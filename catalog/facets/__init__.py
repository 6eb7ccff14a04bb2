"""A query string in, a plan out that counts for each value of a facet how many products a list with it would have."""
