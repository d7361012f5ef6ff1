"""What goes wrong through no fault of the program: bad input, said in one sentence."""


class InputError(Exception):
    """Bad input. The message is one sentence that names the file, what is wrong and the way out."""
