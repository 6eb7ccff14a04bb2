"""A map that never grows past its bound, whoever fills it."""

from threading import Thread

from config.process.bounded import BoundedMap


def test_past_the_bound_the_item_goes_that_was_used_the_longest_time_ago() -> None:
    kept: BoundedMap[str, int] = BoundedMap(2)
    kept.keep("a", 1)
    kept.keep("b", 2)
    assert kept.find("a") == 1
    kept.keep("c", 3)
    assert list(kept.items()) == [("a", 1), ("c", 3)]
    assert kept.find("b") is None


def test_an_item_that_is_kept_again_is_new() -> None:
    kept: BoundedMap[str, int] = BoundedMap(2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        kept.keep(key, value)
    assert list(kept.items()) == [("a", 3), ("c", 4)]


def test_a_get_leaves_the_order_as_it_is() -> None:
    kept: BoundedMap[str, int] = BoundedMap(2)
    kept.keep("a", 1)
    kept.keep("b", 2)
    assert kept.get("a") == 1
    kept.keep("c", 3)
    assert list(kept) == ["b", "c"]


class Interrupted(BoundedMap[str, int]):
    """Another thread keeps an item while this one looks whether it has one."""

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        other = Thread(target=self.keep, args=("b", 2))
        other.start()
        other.join(0.05)  # with the lock it waits for longer
        return found


def test_an_item_that_is_found_isnt_taken_out_meanwhile() -> None:
    kept = Interrupted(1)
    kept.keep("a", 1)
    assert kept.find("a") == 1
