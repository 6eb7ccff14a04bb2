"""Pictures of products: a demo product's are drawn from its SKU."""
