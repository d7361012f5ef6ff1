"""What is said without where files lie: folders are often named after patients."""

import re

PATH = re.compile(r"(?<![\w./~])(?:~|[A-Za-z]:)?(?:[/\\][^\s/\\:;,'\"()]+)+[/\\](?=[^\s/\\])")  # of folders, up to a last name


def without_paths(text: str) -> str:
    """A text whose absolute paths are their last names."""
    return PATH.sub("", text)
