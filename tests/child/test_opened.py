"""Files by their numbers."""

from medrestore.child.opened import OpenFiles


class Words(OpenFiles[list[str]]):
    """Files that are lists of their paths."""

    closed = 0

    def _open(self, path, *, locking):
        return [path, str(locking)]

    def _close(self, file):
        self.closed += 1

    def _questions(self):
        return {"word": lambda number, at: (self._files[number][at], [])}


def test_a_file_is_opened_once_and_closed_once():
    words = Words()
    request = {"file": 3, "path": "a", "locking": False, "question": "word", "arguments": {"at": 0}}
    assert words.answer(request) == ("a", []) and words.answer(request | {"path": "b"}) == ("a", [])
    assert words.answer(request | {"arguments": {"at": 1}}) == ("False", [])
    assert words.answer(request | {"question": "close"}) == (None, []) and words.closed == 0
    words.close(3)
    words.close(3)
    assert words.closed == 1 and words.answer(request | {"path": "b"}) == ("b", [])
