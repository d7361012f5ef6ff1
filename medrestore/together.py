"""Several works that call one prior walk in step: each as alone, and the prior is called for all of them at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from .priors import Prior

Result = TypeVar("Result")
Answer = Tensor | torch.OutOfMemoryError


def together(works: Sequence[Callable[[Prior], Result]], prior: Prior, *, most: int) -> list[Result]:
    """What each work returns, given a prior that stands for `prior`, in the order of the works.

    A work has a thread of its own, but only one of them, or the caller, runs at a time: a thread is what can be left in the
    middle of a walk. Works run in turn until each has asked for a call of the prior or has returned; then the caller makes
    the calls, one for all that ask for the same noise level. So nothing that works share has to be safe for threads, and all
    that belongs to a thread in a network (CUDA graphs, autocast) stays in the caller's.

    The first error of a work ends the others and is raised, as is whatever interrupts the caller.

    Args:
        works: each runs under the caller's grad and inference mode, default device and number of threads.
        prior: treats the images of a batch independently of each other. It is called alone by works that differentiate
            through it.
        most: images in a joint call, halved for good when memory runs out; a work's own call is never split. When memory runs
            out for that, the work is told, as if it had made the call itself.
    """
    if len(works) == 1:
        return [works[0](prior)]
    joint, manner = Joint(prior, most), Manner.of_this_thread()
    seats = [Seat(prior) for _ in works]
    threads = [Thread(target=seat.run, args=(work, manner)) for work, seat in zip(works, seats, strict=True)]
    results: dict[int, Result] = {}
    try:
        for thread in threads:
            thread.start()
        answers: dict[int, Answer | None] = dict.fromkeys(range(len(works)))  # None: begin
        while answers:
            calls: dict[int, Call] = {}
            for number, answer in answers.items():
                said = seats[number].go_on(answer)
                if isinstance(said, Call):
                    calls[number] = said
                else:
                    results[number] = said.result
            answers = joint(calls)
    finally:
        for seat in seats:
            seat.stop()
        for thread in threads:
            if thread.ident is not None:  # it was started
                thread.join()
    return [results[number] for number in range(len(works))]


@dataclass(frozen=True)
class Call:
    """A call of the prior that a work waits for; `grad` is the work's grad mode."""

    x: Tensor
    sigma: float
    grad: bool


@dataclass(frozen=True)
class Returned(Generic[Result]):
    """The end of a work."""

    result: Result


class Stopped(BaseException):
    """Ends a work whose answer will not come."""


@dataclass(frozen=True)
class Manner:
    """How torch computes in a thread: what a new thread does not take over from the one that starts it."""

    grad: bool
    inference: bool
    device: torch.device
    threads: int

    @classmethod
    def of_this_thread(cls) -> "Manner":
        """As the thread that asks computes."""
        return cls(torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_device(),
                   torch.get_num_threads())

    def run(self, work: Callable[[], Result]) -> Result:
        """`work`, computed in this manner."""
        torch.set_num_threads(self.threads)
        with torch.inference_mode(self.inference), torch.set_grad_enabled(self.grad), self.device:
            return work()


class Seat(Prior):
    """The prior as one work sees it: a call waits until it is made together with those of the others."""

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        self.channels, self.multiple, self.size = prior.channels, prior.multiple, prior.size
        self.recipe, self.sigma_range = prior.recipe, prior.sigma_range
        self._said: SimpleQueue[Call | Returned[Any] | BaseException] = SimpleQueue()
        self._answers: SimpleQueue[Answer | Stopped | None] = SimpleQueue()

    def __getattr__(self, name: str) -> Any:
        """Whatever else a prior has, such as its parametrisation."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.prior, name)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self._said.put(Call(x, float(sigma), torch.is_grad_enabled()))
        return self._answer()

    def _answer(self) -> Any:
        answer = self._answers.get()
        if isinstance(answer, Stopped):
            self._answers.put(answer)  # for whoever asks again
        try:
            if isinstance(answer, BaseException):
                raise answer
            return answer
        finally:
            del answer  # an error, its traceback and this frame would hold each other, and all that the work has in memory

    def run(self, work: Callable[[Prior], Result], manner: Manner) -> None:
        """The thread of a work: from `go_on` to `go_on`, or to `stop`."""
        try:
            self._answer()
            result = manner.run(lambda: work(self))
        except Stopped:
            return
        except BaseException as error:  # whatever it is, it is the caller's
            self._said.put(error)
        else:
            self._said.put(Returned(result))

    def go_on(self, answer: Answer | None) -> Call | Returned[Any]:
        """Lets the work run, given what it waits for, until it asks again or ends; raises what it raises."""
        self._answers.put(answer)
        said = self._said.get()
        try:
            if isinstance(said, BaseException):
                raise said
            return said
        finally:
            del said

    def stop(self) -> None:
        """Ends the work where it next waits."""
        self._answers.put(Stopped())


class Joint:
    """Calls of a prior for several works."""

    def __init__(self, prior: Prior, most: int) -> None:
        self.prior, self.most = prior, most

    def __call__(self, calls: dict[int, Call]) -> dict[int, Answer]:
        """The answers, in the order of the calls: one call of the prior for all that are alike, as far as they fit."""
        alike: dict[tuple[Any, ...], list[int]] = {}
        for number, call in calls.items():
            alone = number if call.grad and call.x.requires_grad else None
            alike.setdefault((call.sigma, call.x.shape[1:], call.grad, alone), []).append(number)
        answers: dict[int, Answer] = {}
        for numbers in alike.values():
            while numbers:
                answered = self._some(numbers, calls)
                answers |= answered
                numbers = numbers[len(answered):]
        return {number: answers[number] for number in calls}

    def _some(self, numbers: list[int], calls: dict[int, Call]) -> dict[int, Answer]:
        """Answers to the first of these calls, as many as fit; to none when memory runs out and fewer may do."""
        sizes = [len(calls[number].x) for number in numbers]
        fit = max(1, sum(images <= self.most for images in accumulate(sizes)))
        numbers, sizes = numbers[:fit], sizes[:fit]
        first = calls[numbers[0]]
        try:
            with torch.set_grad_enabled(first.grad):
                x = first.x if fit == 1 else torch.cat([calls[number].x for number in numbers])
                return dict(zip(numbers, self.prior(x, first.sigma).split(sizes), strict=True))
        except torch.OutOfMemoryError as error:
            self.most = max(1, sum(sizes) // 2)
            # without its traceback, which holds what the network had in memory
            return {} if fit > 1 else {numbers[0]: error.with_traceback(None)}
