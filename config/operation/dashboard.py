"""The operator's part of the admin's first page: requests, hit rate and latency since the servers started. No query."""

from collections.abc import Iterator, Sequence

from django.http import HttpRequest
from django.urls import reverse

from config.api.admin.dashboard import Figure
from config.metrics import BUCKETS, FIRST_BUCKET, REQUEST, read_everybody


def list_items(request: HttpRequest) -> Iterator[Figure]:
    if not getattr(request.user, "is_superuser", False):
        return
    ready = reverse("readyz")
    rows = {key: numbers for key, numbers in read_everybody().counts.items() if key[0] == REQUEST}
    counts = {key: sum(numbers[FIRST_BUCKET:]) for key, numbers in rows.items()}
    total, failed = sum(counts.values()), sum(count for key, count in counts.items() if int(key[3]) >= 500)
    hits, misses = (sum(count for key, count in counts.items() if key[4] == what) for what in ("hit", "miss"))
    yield Figure("Requests", f"{total:,.0f}", ready, f"{failed:,.0f} server errors", is_alarm=failed > 0)
    if hits + misses:
        yield Figure("Answered by the cache", f"{100 * hits / (hits + misses):.0f} %", ready, "of what it may answer")
    if total:
        buckets = [sum(numbers) for numbers in zip(*(row[FIRST_BUCKET:] for row in rows.values()), strict=True)]
        slow = find_quantile(buckets, 0.95)
        yield Figure("Time of an answer", find_quantile(buckets, 0.5), ready, f"the median; 95 % within {slow}")


def find_quantile(buckets: Sequence[float], share: float) -> str:
    """The bound of the bucket in which the quantile is."""
    reached, wanted = 0.0, share * sum(buckets)
    for number, bound in zip(buckets, BUCKETS, strict=False):
        reached += number
        if reached >= wanted:
            return f"{bound * 1000:g} ms"
    return f"over {BUCKETS[-1]:g} s"
