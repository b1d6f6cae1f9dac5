"""Work side by side, results in order."""

from __future__ import annotations

import threading
import time

import pytest

from synth.ordered import in_order


@pytest.mark.parametrize("together", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(together):
    def slow_first(number):
        time.sleep(0.05 if number == 0 else 0)
        return number * number

    assert list(in_order(slow_first, range(20), together)) == [number**2 for number in range(20)]
    assert list(in_order(slow_first, [], together)) == []


def test_items_are_under_way_at_the_same_time():
    both = threading.Barrier(2, timeout=10)
    list(in_order(lambda _: both.wait(), range(4), 2))


def test_little_is_done_ahead_of_who_takes():
    begun = []
    results = in_order(begun.append, range(100), 3)
    next(results)
    time.sleep(0.05)
    assert len(begun) == 4


@pytest.mark.parametrize("together", [1, 3])
def test_an_error_comes_through_and_ends_the_work(together):
    def broken(number):
        if number == 2:
            raise ValueError("two")
        return number

    found = []
    with pytest.raises(ValueError, match="two"):
        found.extend(in_order(broken, range(10), together))
