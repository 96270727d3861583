"""Calls on other threads: order, failures, and the main thread kept free."""

import threading
import time

import pytest

from fireworks.store.waiting import concurrently, interruptibly


def test_results_come_in_the_order_of_their_arguments():
    together = threading.Barrier(4)

    def call(number):
        together.wait(10)  # Passes only if four run at once.
        return number * number

    assert concurrently(call, range(8), 4) == [number * number for number in range(8)]
    assert concurrently(call, [], 4) == []


def test_the_first_failure_is_raised_and_the_rest_dropped():
    called = []

    def call(number):
        called.append(number)
        time.sleep(0.001)
        raise ValueError(f"number {number}")

    with pytest.raises(ValueError, match="number 0"):
        concurrently(call, range(2000), 1)
    assert len(called) < 2000


def test_the_main_thread_waits_beside_the_call():
    assert interruptibly(threading.current_thread) is not threading.main_thread()
    with pytest.raises(ZeroDivisionError):
        interruptibly(lambda: 1 // 0)


def test_another_thread_makes_the_call_itself():
    same = []
    thread = threading.Thread(target=lambda: same.append(interruptibly(threading.current_thread)))
    thread.start()
    thread.join()
    assert same == [thread]
