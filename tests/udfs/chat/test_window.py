"""The window of requests in flight."""

import random

from udfs.chat.window import Window


def proven(most: int) -> Window:
    window = Window(most=most)
    window.answered(1.0)
    return window


def test_the_first_request_goes_alone() -> None:
    assert Window(most=64).size == 1
    assert proven(64).size == 64


def test_a_refusal_halves_the_window_once() -> None:
    window = proven(64)
    for _ in range(20):
        window.refused()
    assert window.size == 32


def test_a_server_that_keeps_refusing_is_left_one_request() -> None:
    window = proven(64)
    for _ in range(20):
        window.refused()
        for _ in range(64):
            window._since_cut += 1
    assert window.size == 1


def test_answers_open_the_window_again_up_to_its_share() -> None:
    window = proven(8)
    window.refused()
    for _ in range(100):
        window.answered(1.0)
    assert window.size == 8


def test_a_server_that_slows_down_is_asked_less() -> None:
    window = proven(64)
    for _ in range(200):
        window.answered(1.0)
    for _ in range(400):
        window.answered(10.0)
    assert window.size < 50


def test_answers_that_differ_in_length_leave_the_window_open() -> None:
    window = proven(64)
    for number in range(2000):
        window.answered(1.0 + number % 7 / 2)
    assert window.size == 64


def test_a_short_first_answer_is_not_the_best_time() -> None:
    window = proven(64)
    window.answered(0.01)
    draw = random.Random(0)
    for _ in range(2000):
        window.answered(0.5 + 2.5 * draw.expovariate(1))
    assert window.size == 64


def test_a_larger_share_is_taken_up() -> None:
    window = proven(4)
    window.most = 16
    assert window.size == 16
