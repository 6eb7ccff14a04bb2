"""Products as the formats with a shape of their own are given them, for hypothesis."""

from hypothesis import strategies as st

ADDRESSES = ("https://i.example/a.jpg", "/media/b c.jpg", "ü.jpg", "https://i.example/%C3%BC?a=1&b=<2>")
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=300).filter(str.strip)
PRICES = st.decimals(0, 10**8, places=2).map(lambda price: f"{price:.2f}")
VARIANTS = st.fixed_dictionaries(
    {
        "sku": st.sampled_from(["A", "B", "product-7", "product-7-", "é /?"]),
        "barcode": st.sampled_from(["", "X", "4006381333931", "12345670", "123"]),
        "options": st.dictionaries(st.sampled_from(["Size", "colour", "Fit"]), WORDS.map(lambda text: text[:100])),
        "price": PRICES,
        "is_free": st.booleans(),
    }
)
PRODUCTS = st.fixed_dictionaries(
    {
        "id": st.just(7),
        "sku": st.just("A"),
        "slug": st.just("oak-chair"),
        "title": WORDS.filter(lambda text: "<" not in text and "&" not in text),
        "brand": st.none() | WORDS.map(lambda text: text[:200]).filter(str.strip),
        "category": st.none() | st.just(r"Home > A \> B") | WORDS,
        "currency": st.sampled_from(["USD", "EUR"]),
        "price": PRICES,
        "compare_at_price": st.none() | PRICES,
        "description": st.sampled_from(["", "<b>" * 99, "a" * 9000]) | st.text(max_size=300),
        "variants": st.lists(VARIANTS, min_size=1, max_size=4, unique_by=lambda variant: variant["sku"]),
        "images": st.lists(st.sampled_from([{"url": url} for url in ADDRESSES]), max_size=3),
    }
)  # fmt: skip
