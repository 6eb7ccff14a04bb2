"""A request in, who the caller is and what they may do out: permissions, scopes, rate limits, sign-in limits."""
