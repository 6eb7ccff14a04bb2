"""A request in, who asks and whether they may out: permissions, rate limits, sign-in limits."""
