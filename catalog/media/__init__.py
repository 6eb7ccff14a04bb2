"""Pictures: uploaded bytes in, addresses and small pictures out. A demo product's are drawn from its SKU."""
