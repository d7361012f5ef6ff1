"""Works in step: each as alone, one call of the prior for all, and nothing hangs whatever goes wrong."""

import os
import signal
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from medrestore.codecs import Interval
from medrestore.priors import Prior
from medrestore.restoration import in_batches
from medrestore.together import Seat, together

LEVELS = (4.0, 2.0, 1.0)


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    """Whatever hangs is interrupted, again and again; no thread is left behind."""

    def late(*told: Any) -> None:
        raise TimeoutError("it hangs")

    before, threads = signal.signal(signal.SIGALRM, late), threading.active_count()
    signal.setitimer(signal.ITIMER_REAL, 20, 1)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    assert threading.active_count() == threads


class Shrink(Prior):
    """Images one by one towards zero; remembers each call's images, level, thread and grad mode."""

    channels, multiple, sigma_range, recipe = 1, 8, (0.1, 9.0), Interval()
    parametrisation = "what it predicts"

    def __init__(self, most: int = 10**9) -> None:
        self.most, self.weight = most, torch.tensor(0.7, requires_grad=True)
        self.seen: list[tuple[list[float], float]] = []
        self.threads: set[threading.Thread] = set()
        self.grads: list[bool] = []

    @property
    def sizes(self) -> list[int]:
        return [len(images) for images, _ in self.seen]

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.seen.append((x[:, 0, 0, 0].tolist(), sigma))
        self.threads.add(threading.current_thread())
        self.grads.append(torch.is_grad_enabled())
        if len(x) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return torch.cat([self.weight * image[None] / (1 + sigma**2) for image in x])


def images(value: float, count: int = 1) -> Tensor:
    return torch.arange(count).reshape(count, 1, 1, 1) / 8 + torch.full((count, 1, 2, 2), value)


def walk(value: float, count: int = 1, levels: Sequence[float] = LEVELS) -> Callable[[Prior], Tensor]:
    """A work: its own images down the levels."""

    @torch.no_grad()
    def work(prior: Prior) -> Tensor:
        x = images(value, count)
        for sigma in levels:
            x = x - 0.5 * (x - prior(x, sigma)) * value
        return x

    return work


def alone(works: Sequence[Callable[[Prior], Any]]) -> list[Any]:
    return [work(Shrink()) for work in works]


def test_one_call_a_level() -> None:
    prior, works = Shrink(), [walk(1.0), walk(2.0, 2), walk(3.0)]
    results = together(works, prior, most=8)
    assert [sigma for _, sigma in prior.seen] == list(LEVELS) and prior.sizes == [4, 4, 4]
    assert prior.seen[0][0] == [1.0, 2.0, 2.125, 3.0]
    assert all(torch.equal(mine, own) for mine, own in zip(results, alone(works), strict=True))
    assert prior.threads == {threading.main_thread()} and prior.grads == [False] * 3


def test_works_that_are_done_leave() -> None:
    prior = Shrink()
    works = [walk(1.0, levels=LEVELS[:2]), walk(2.0, levels=()), walk(3.0, levels=(*LEVELS, 0.5)), walk(4.0, levels=LEVELS[:1])]
    results = together(works, prior, most=8)
    assert prior.sizes == [3, 2, 1, 1]
    assert all(torch.equal(mine, own) for mine, own in zip(results, alone(works), strict=True))


def test_other_levels_and_sizes_are_calls_of_their_own() -> None:
    prior = Shrink()
    works = [walk(1.0), walk(2.0, levels=(4.0, 3.0, 1.0)), walk(3.0), lambda seat: seat(torch.ones(1, 1, 4, 4), 4.0)]
    together(works[:3], prior, most=8)
    assert [(len(x), sigma) for x, sigma in prior.seen] == [(3, 4.0), (2, 2.0), (1, 3.0), (3, 1.0)]
    prior.seen.clear()
    with torch.no_grad():
        assert together(works[2:], prior, most=8)[1].shape == (1, 1, 4, 4) and prior.sizes == [1, 1, 1, 1]


def test_at_most_so_many_images_and_no_work_is_split() -> None:
    prior, works = Shrink(), [walk(float(i), count, LEVELS[:1]) for i, count in enumerate((1, 2, 2, 5, 1, 1))]
    results = together(works, prior, most=4)
    assert prior.sizes == [3, 2, 5, 2]
    assert all(torch.equal(mine, own) for mine, own in zip(results, alone(works), strict=True))


def test_one_runs_at_a_time_and_in_turn() -> None:
    running, order = [0], []

    def work(number: int) -> Callable[[Prior], None]:
        def run(prior: Prior) -> None:
            for _ in range(3):
                running[0] += 1
                time.sleep(0.01)
                assert running == [1]
                order.append(number)
                running[0] -= 1
                prior(images(1.0), 1.0)

        return run

    together([work(i) for i in range(3)], Shrink(), most=8)
    assert order == [0, 1, 2] * 3


def test_works_compute_as_the_caller() -> None:
    def manner(prior: Prior) -> tuple[Any, ...]:
        return (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.zeros(1).device.type, torch.get_num_threads())

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    other = threading.Thread(target=torch.set_num_threads, args=(1,))  # what a new thread would begin with
    other.start()
    other.join()
    try:
        assert together([manner] * 2, Shrink(), most=8) == [(True, False, "cpu", 2)] * 2
        with torch.no_grad(), torch.device("meta"):
            assert together([manner] * 2, Shrink(), most=8) == [(False, False, "meta", 2)] * 2
        with torch.inference_mode():
            assert together([manner] * 2, Shrink(), most=8) == [(False, True, "cpu", 2)] * 2
    finally:
        torch.set_num_threads(threads)


def test_gradients_go_through_the_prior_alone() -> None:
    @torch.no_grad()
    def guided(prior: Prior) -> Tensor:
        with torch.enable_grad():
            x = images(1.0, 2).requires_grad_()
            (gradient,) = torch.autograd.grad(prior(x, 4.0).square().sum(), x)
        assert not prior(x, 2.0).requires_grad
        return gradient

    prior, works = Shrink(), [guided, walk(3.0), guided]
    with torch.no_grad():
        results = together(works, prior, most=8)
    assert all(torch.equal(mine, own) for mine, own in zip(results, alone(works), strict=True))
    assert list(zip(prior.sizes, prior.grads, strict=True)) == [(2, True), (1, False), (2, True), (5, False), (1, False)]


def test_one_work_has_the_prior_itself() -> None:
    prior = Shrink()
    assert together([lambda given: (given, threading.current_thread())], prior, most=1) == [(prior, threading.main_thread())]
    assert together([], prior, most=1) == []


def test_a_seat_stands_for_the_prior() -> None:
    prior, seat = Shrink(), Seat(Shrink())
    for name in ("channels", "multiple", "size", "recipe", "sigma_range", "parametrisation"):
        assert getattr(seat, name) == getattr(prior, name)
    with pytest.raises(AttributeError, match="smell"):
        _ = seat.smell


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, torch.OutOfMemoryError])
def test_an_error_of_one_work_ends_all(kind: type[BaseException]) -> None:
    ended = []

    def patient(prior: Prior) -> None:
        try:
            while True:
                try:
                    prior(images(1.0), 1.0)
                except Exception:  # it is not to be put off
                    ended.append("caught")
        finally:
            with pytest.raises(BaseException, match=r"^$"):  # nor is one that asks again
                prior(images(1.0), 1.0)
            ended.append("ended")

    def fails(prior: Prior) -> None:
        prior(images(1.0), 1.0)
        raise kind("it is broken")

    with pytest.raises(kind, match="it is broken") as caught:
        together([patient, fails, patient], Shrink(), most=8)
    assert ended == ["ended"] * 2
    assert "fails" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_an_error_before_the_first_call() -> None:
    begun = []
    with pytest.raises(ZeroDivisionError):
        together([lambda prior: 1 / 0, begun.append], Shrink(), most=8)
    assert begun == []


def test_an_error_of_the_prior_ends_all() -> None:
    class Broken(Shrink):
        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            super().__call__(x, sigma)
            raise RuntimeError("no such kernel")

    prior = Broken()
    with pytest.raises(RuntimeError, match="no such kernel"):
        together([walk(1.0), walk(2.0)], prior, most=8)
    assert prior.sizes == [2]


def test_a_joint_call_halves_for_good_when_memory_runs_out() -> None:
    prior, works = Shrink(most=2), [walk(float(i)) for i in range(5)]
    results = together(works, prior, most=8)
    assert prior.sizes == [5, 2, 2, 1, 2, 2, 1, 2, 2, 1]
    assert all(torch.equal(mine, own) for mine, own in zip(results, alone(works), strict=True))


def test_a_work_whose_own_call_does_not_fit_is_told() -> None:
    def work(value: float, count: int) -> Callable[[Prior], Tensor]:
        def draw(prior: Prior, which: Sequence[int]) -> Tensor:
            x = torch.cat([images(value + i) for i in which])
            for sigma in LEVELS:
                x = prior(x, sigma)
            return x.detach()

        return lambda prior: torch.cat(list(in_batches(lambda which: draw(prior, which), range(count), 8)))

    prior, works = Shrink(most=2), [work(1.0, 1), work(2.0, 4), work(3.0, 3)]
    results = together(works, prior, most=64)
    assert all(torch.equal(mine, own) for mine, own in zip(results, alone(works), strict=True))
    assert prior.sizes[:7] == [8, 1, 4, 3, 1, 4, 3]  # 8 become 4, which is no fewer here, and then 2
    assert max(prior.sizes[7:]) == 2 and sum(prior.sizes[7:]) == len(LEVELS) * (4 + 3) + 1
    with pytest.raises(torch.OutOfMemoryError):
        together(works, Shrink(most=0), most=64)


def test_what_did_not_fit_is_not_held() -> None:
    """When a work learns that memory has run out, what the network had made by then is gone."""

    class Activations:
        pass

    class Heavy(Shrink):
        made: weakref.ref[Activations] | None = None

        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            assert self.made is None or self.made() is None
            held = Activations()
            self.made = weakref.ref(held)
            return super().__call__(x, sigma)

    def work(prior: Prior) -> str:
        try:
            prior(images(1.0, 2), 1.0)
        except torch.OutOfMemoryError:
            assert heavy.made is not None and heavy.made() is None
            return "told"
        return "not told"

    heavy = Heavy(most=1)
    assert together([work, work], heavy, most=8) == ["told", "told"] and heavy.sizes == [4, 2, 2]


def interrupted_in_the_prior() -> tuple[Prior, list[Callable[[Prior], Any]]]:
    class Interrupted(Shrink):
        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            if sigma == LEVELS[1]:
                signal.raise_signal(signal.SIGINT)
            return super().__call__(x, sigma)

    return Interrupted(), [walk(1.0), walk(2.0)]


def interrupted_in_a_work() -> tuple[Prior, list[Callable[[Prior], Any]]]:
    def work(prior: Prior) -> None:
        prior(images(1.0), LEVELS[0])
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)  # the caller is interrupted where it waits for this work, and waits for its next call to end it
        prior(images(1.0), LEVELS[1])
        raise AssertionError("it was not stopped")

    return Shrink(), [work, walk(2.0)]


@pytest.mark.parametrize("case", [interrupted_in_the_prior, interrupted_in_a_work])
def test_an_interrupt_of_the_caller_ends_all(case: Callable[[], tuple[Prior, list[Callable[[Prior], Any]]]]) -> None:
    prior, works = case()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts in the background
    try:
        with pytest.raises(KeyboardInterrupt), torch.no_grad():
            together(works, prior, most=8)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(prior.seen) == 1
